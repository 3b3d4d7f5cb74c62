"""Steps: what many sessions are sent of one new value is written once for each state that they are in."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.protocol.content import Content
from hub.protocol.formats import FORMATS, STOCK, WireFormat
from hub.protocol.frames import Frame
from hub.protocol.messages import QueryChanged, QueryId, Success, Transition, Version
from hub.protocol.steps import Steps
from hub.protocol.volley import Volley
from hub.timestamps import Timestamp
from hub.values import Value

TS = Timestamp(9)
START = Version()
versions = st.builds(Version, st.integers(0, 300), st.integers(0, 3), st.integers(0, 8).map(Timestamp))
values = st.one_of(st.text(max_size=3), st.lists(st.sampled_from(["a", "b", "c" * 300]), max_size=4))
journals = st.sampled_from([None, "end"])
lines = st.sampled_from([(), ("said",)])


def success(value: Value, journal: str | None = None, log_lines: tuple[str, ...] = ()) -> Success:
    text = json.dumps(value, separators=(",", ":"))
    return Success(text, log_lines, journal, Content(value, len(text)))


def taken(
    steps: Steps, base: Success, query_id: int = 0, start: Version = START, wire_format: WireFormat = STOCK
) -> tuple[Version, Frame]:
    """Where the step leads a session that shows `base`, and what it is sent."""
    way = steps.way(base, wire_format, start)
    assert way is not None
    return way.end, steps.frame(way, QueryId(query_id))


@pytest.mark.parametrize("wire_format", FORMATS)
@given(
    base=st.builds(success, values, journals, lines),
    result=st.builds(success, values, journals, lines),
    starts=st.lists(st.tuples(versions, st.integers(0, 300).map(QueryId)), min_size=1, max_size=4),
)
def test_a_step_is_the_transition_that_brings_this_change_alone(
    wire_format: WireFormat, base: Success, result: Success, starts: list[tuple[Version, QueryId]]
) -> None:
    steps = Steps(result, TS, Volley())

    for start, query_id in starts:
        if base.value == result.value:
            assert steps.way(base, wire_format, start) is None
            continue
        for _ in range(3):  # written, kept, made one piece
            end, frame = taken(steps, base, query_id, start, wire_format)
            change = QueryChanged(query_id, result, base, tells_journal=result.journal != base.journal)
            expected = wire_format.write(Transition(start, end, (change,)))
            assert end == Version(start.query_set, start.identity, TS)
            assert (frame.payload, frame.size_bytes, frame.is_text) == (expected.payload, len(expected.payload), expected.is_text)
            assert b"".join(frame.ready()) == b"".join(expected.ready())


def test_sessions_in_equal_state_get_the_same_frame_and_others_their_own() -> None:
    steps, old = Steps(success("new"), TS, Volley()), success("old")
    one, other = Version(1, 0, Timestamp(5)), Version(2, 0, Timestamp(5))

    (_, first), (_, equal), (_, another_query), (_, another_state) = [
        taken(steps, old, query_id, start) for start, query_id in ((one, 0), (one, 0), (one, 1), (other, 0))
    ]

    assert first is equal
    assert len({frame.payload for frame in (first, another_query, another_state)}) == 3


def test_sessions_that_show_different_values_take_different_steps() -> None:
    """In a format that sends what changed, the frame depends on what was there."""
    old, older, new = success("c" * 90), success("d" * 90), success("c" * 90 + "!")
    steps = Steps(new, TS, Volley())

    payloads = {taken(steps, base, wire_format=wire_format)[1].payload for wire_format in FORMATS for base in (old, older, old)}

    assert len(payloads) == 1 + 2 + 2


def test_what_steps_keep_is_bounded() -> None:
    steps, old = Steps(success("new"), TS, Volley()), success("old")
    starts = [Version(n % 3, 0, Timestamp(5)) for n in range(100)]

    frames = [taken(steps, old, n, start)[1] for n, start in enumerate(starts)]
    again = [taken(steps, old, n, start)[1] for n, start in enumerate(starts)]

    assert sum(one is other for one, other in zip(frames, again, strict=True)) == 32
    assert [frame.payload for frame in frames] == [frame.payload for frame in again]
