"""A text on its way: whatever is lost on the way, the hub has it once; what is due, and when."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.client.outgoing import Outgoing, Pacing, Write
from hub.client.references import Args
from hub.errors import ApplicationError, BadRequest, Unavailable
from hub.utf16 import append_at, utf16_length

PACING = Pacing(interval_s=1.0, batch_chars=10, max_waiting_chars=20)
FOREVER = float("inf")


class Hub:
    """A mutation of that shape. It remembers no keys: repeats are recognised by their offset alone."""

    def __init__(self, text: str = "") -> None:
        self.text, self.status = text, "streaming"
        self.writes: list[Args] = []

    def apply(self, write: Write) -> dict[str, Any]:
        self.writes.append(write.args)
        if self.status != "complete":
            self.text = append_at(self.text, write.args["delta"], write.args["offset"])
            self.status = write.args["status"]
        return {"messageId": "m1", "status": self.status}


def due(text: Outgoing, now: float) -> Write:
    write = text.due(now)
    assert isinstance(write, Write)
    return write


def step(text: Outgoing, hub: Hub, now: float) -> None:
    write = due(text, now)
    text.succeeded(write, hub.apply(write))


pieces = st.lists(st.text("ab\u00e9\u4e16\U0001f600\U0010ffff", max_size=6), max_size=8)


@given(pieces=pieces, data=st.data(), end=st.sampled_from(["complete", "error"]))
def test_whatever_comes_twice_or_is_cut_the_hub_has_the_text(pieces: list[str], data: st.DataObject, end: Any) -> None:
    """The text comes cut between any two UTF-16 code units; each write is applied once or twice."""
    whole = "".join(pieces)
    units = whole.encode("utf-16-le")
    cuts = data.draw(st.lists(st.integers(0, len(units) // 2), max_size=6))
    places = sorted({0, len(units) // 2, *cuts})
    text, hub, now = Outgoing({"chatId": "c"}, 0, PACING), Hub(), 0.0
    opening = text.opening()
    text.succeeded(opening, hub.apply(opening))

    def pump() -> None:
        while isinstance(write := text.due(now), Write):
            for _ in range(data.draw(st.integers(0, 1))):
                hub.apply(write)
            text.succeeded(write, hub.apply(write))

    for start, stop in itertools.pairwise(places):
        text.add(units[2 * start : 2 * stop].decode("utf-16-le", "surrogatepass"))
        now += data.draw(st.sampled_from([0.0, 0.6, 1.2]))
        pump()
    text.end(end)
    pump()

    assert (hub.text, hub.status) == (whole, end)
    assert text.due(now) is None
    assert text.length == text.written == utf16_length(whole)
    assert all(args["chatId"] == "c" for args in hub.writes)


def test_the_first_piece_goes_at_once_and_the_next_ones_together() -> None:
    text, hub = Outgoing({}, 0, PACING), Hub()
    assert text.due(5.0) == FOREVER
    text.add("a")
    step(text, hub, 5.0)
    text.add("b")
    text.add("c")
    assert text.due(5.25) == 0.75
    step(text, hub, 6.0)
    assert [args["delta"] for args in hub.writes] == ["a", "bc"]


def test_a_full_batch_does_not_wait_and_a_writer_far_ahead_does() -> None:
    text, hub = Outgoing({}, 0, PACING), Hub()
    text.add("a")
    step(text, hub, 5.0)
    text.add("x" * 10)
    assert not text.is_full
    assert due(text, 5.0).args["delta"] == "x" * 10
    text.add("y" * 20)
    assert text.is_full
    text.failed(Unavailable("gone"))
    assert not text.is_full, "nobody waits for what will not come"


def test_every_write_has_a_key_of_its_own() -> None:
    text, hub = Outgoing({}, 0, PACING), Hub()
    keys = [text.opening().idempotency_key]
    for piece in "abc":
        text.add(piece)
        write = due(text, 100.0 * ord(piece))
        keys.append(write.idempotency_key)
        text.succeeded(write, hub.apply(write))
    assert len(set(keys)) == 4


def test_a_text_goes_on_where_it_is_said_to() -> None:
    text, hub = Outgoing({"content": "not sent"}, 2, PACING), Hub("\U0001f600")
    opening = text.opening()
    text.succeeded(opening, hub.apply(opening))
    text.add("!")
    text.end("complete")
    step(text, hub, 0.0)
    assert (hub.text, hub.status) == ("\U0001f600!", "complete")
    assert all("content" not in args for args in hub.writes)


@pytest.mark.parametrize("bad", ["\ude00", "a\ude00", "\ud83da", "\ud83d\ud83d"], ids=ascii)
def test_half_a_character_inside_the_text_is_refused_and_the_text_goes_on(bad: str) -> None:
    text, hub = Outgoing({}, 0, PACING), Hub()
    text.add("x\ud83d")
    with pytest.raises(BadRequest, match="half of a character"):
        text.add("\ud83d" + bad)
    text.add("\ude00y")
    text.end("complete")
    step(text, hub, 0.0)
    assert hub.text == "x\U0001f600y"


def test_half_a_character_at_the_end_is_replaced() -> None:
    text, hub = Outgoing({}, 0, PACING), Hub()
    text.add("x\ud83d")
    text.end("complete")
    step(text, hub, 0.0)
    assert hub.text == "x\ufffd"


def test_a_text_that_somebody_stopped_is_not_written_on() -> None:
    text, hub = Outgoing({}, 0, PACING), Hub()
    text.add("a")
    hub.text, hub.status = "stopped", "complete"
    step(text, hub, 0.0)
    assert text.is_stopped
    text.add("b")
    text.end("complete")
    assert text.due(10.0) is None
    assert len(hub.writes) == 1


def test_a_hub_that_refuses_is_told_once_that_the_text_broke_off() -> None:
    text, hub = Outgoing({}, 0, PACING), Hub("another text")
    text.add("a text")
    write = due(text, 0.0)
    with pytest.raises(ApplicationError) as refused:
        hub.apply(write)
    text.failed(refused.value)
    with pytest.raises(ApplicationError):
        text.add("more")
    step(text, hub, 0.0)
    assert (hub.text, hub.status) == ("another text", "error")
    assert text.due(0.0) is None
    with pytest.raises(ApplicationError):
        text.check()


def test_a_hub_that_cannot_be_reached_is_left_alone() -> None:
    text = Outgoing({}, 0, PACING)
    text.add("a")
    due(text, 0.0)
    text.failed(Unavailable("gone"))
    text.end("complete")
    assert text.due(0.0) is None
