"""Steps: what many sessions are sent of one new value is written once for each state that they are in."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.protocol.content import Content
from hub.protocol.formats import FORMATS, STOCK, WireFormat
from hub.protocol.messages import QueryChanged, QueryId, Success, Transition, Version
from hub.protocol.steps import Steps, Way
from hub.protocol.volley import Volley
from hub.timestamps import Timestamp
from hub.values import Value

TS = Timestamp(9)
START = Version()
versions = st.builds(Version, st.integers(0, 300), st.integers(0, 3), st.integers(0, 8).map(Timestamp))
values = st.one_of(st.text(max_size=3), st.lists(st.sampled_from(["a", "b", "c" * 300, "d" * 70_000]), max_size=4))
query_ids = st.sampled_from([0, 7, 99, 127, 128, 300, 70_000]).map(QueryId)
journals = st.sampled_from([None, "end"])
lines = st.sampled_from([(), ("said",)])


def success(value: Value, journal: str | None = None, log_lines: tuple[str, ...] = ()) -> Success:
    text = json.dumps(value, separators=(",", ":"))
    return Success(text, log_lines, journal, Content(value, len(text)))


def way_of(steps: Steps, base: Success, start: Version = START, wire_format: WireFormat = STOCK) -> Way:
    way = steps.way(base, wire_format, start)
    assert way is not None
    return way


@pytest.mark.parametrize("wire_format", FORMATS)
@given(
    base=st.builds(success, values, journals, lines),
    result=st.builds(success, values, journals, lines),
    starts=st.lists(st.tuples(versions, query_ids), min_size=1, max_size=4),
)
def test_a_step_is_the_transition_that_brings_this_change_alone(
    wire_format: WireFormat, base: Success, result: Success, starts: list[tuple[Version, QueryId]]
) -> None:
    steps = Steps(result, TS, Volley())

    for start, query_id in starts:
        if base.value == result.value:
            assert steps.way(base, wire_format, start) is None
            continue
        way = way_of(steps, base, start, wire_format)
        change = QueryChanged(query_id, result, base, tells_journal=result.journal != base.journal)
        expected = wire_format.write(Transition(start, way.end, (change,)))
        frame = way.frame(query_id)
        assert way.end == Version(start.query_set, start.identity, TS)
        assert (frame.payload, frame.size_bytes, frame.is_text) == (expected.payload, len(expected.payload), expected.is_text)
        for _ in range(3):  # written, kept, made one piece
            pieces, size_bytes = way.ready(query_id)
            assert (b"".join(pieces), size_bytes) == (b"".join(expected.ready()), expected.size_bytes)


def test_sessions_in_equal_state_go_one_way_and_get_the_same_bytes() -> None:
    steps, old = Steps(success("new" * 400), TS, Volley()), success("old")
    one, equal, other = Version(1, 0, Timestamp(5)), Version(1, 0, Timestamp(5)), Version(2, 0, Timestamp(5))
    way = way_of(steps, old, one)

    first, second, third = [way.ready(QueryId(0))[0] for _ in range(3)]

    assert way_of(steps, old, equal) is way
    assert [len(pieces) for pieces in (first, second, third)] == [2, 1, 1]
    assert second[0] is third[0]
    assert b"".join(first) == second[0]
    others = [b"".join(way.ready(QueryId(1))[0]), b"".join(way_of(steps, old, other).ready(QueryId(0))[0])]
    assert len({second[0], *others}) == 3


def test_what_all_share_is_not_copied_for_each() -> None:
    way = way_of(Steps(success("x" * 100_000), TS, Volley()), success("old"))
    rests = [way.ready(QueryId(n))[0][-1] for n in (0, 1, 2, 2, 2)]
    assert all(rest is rests[0] for rest in rests)


def test_sessions_that_show_different_values_take_different_steps() -> None:
    """In a format that sends what changed, the frame depends on what was there."""
    old, older, new = success("c" * 90), success("d" * 90), success("c" * 90 + "!")
    steps = Steps(new, TS, Volley())

    payloads = {
        way_of(steps, base, wire_format=wire_format).frame(QueryId(0)).payload
        for wire_format in FORMATS
        for base in (old, older, old)
    }

    assert len(payloads) == 1 + 2 + 2


def test_what_is_kept_is_bounded_however_many_ways_there_are() -> None:
    steps, old = Steps(success("new" * 400), TS, Volley()), success("old")
    states = [(way_of(steps, old, Version(n % 7, 0, Timestamp(5))), QueryId(n)) for n in range(100)]

    first = [way.ready(query_id)[0] for way, query_id in states]
    again = [way.ready(query_id)[0] for way, query_id in states]

    assert [len(pieces) for pieces in again] == [1] * 32 + [2] * 68
    assert [b"".join(pieces) for pieces in first] == [b"".join(pieces) for pieces in again]
