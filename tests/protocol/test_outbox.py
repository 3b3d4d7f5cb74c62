from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hub.protocol.codec import write_message
from hub.protocol.formats import STOCK
from hub.protocol.frames import Frame
from hub.protocol.messages import CallResponse, FatalError, Ping, RequestId, ServerMessage, Success, Transition, Version
from hub.protocol.outbox import Outbox
from hub.timestamps import Timestamp

TRANSITION = Transition(Version(), Version(1))


def an_outbox(budget_bytes: int = 1_000, patience_s: float = 10.0) -> Outbox:
    return Outbox(STOCK, budget_bytes=budget_bytes, patience_s=patience_s, ping_after_s=15.0, now=0.0)


def an_answer(size_bytes: int = 1) -> ServerMessage:
    return CallResponse("mutation", RequestId(0), Success('"' + "x" * size_bytes + '"'), Timestamp(1))


def test_frames_leave_in_the_order_they_were_put() -> None:
    outbox = an_outbox()
    outbox.put(an_answer(), now=0)
    outbox.put(TRANSITION, now=0)

    first = outbox.next()
    assert outbox.next() == first == write_message(an_answer())
    outbox.written(now=0)
    assert outbox.next() == write_message(TRANSITION)
    outbox.written(now=0)
    assert outbox.next() is None


def test_at_most_two_transitions_are_outstanding_the_one_being_sent_included() -> None:
    outbox = an_outbox()
    outbox.put(TRANSITION, now=0)
    outbox.next()
    assert outbox.can_advance
    outbox.put(TRANSITION, now=0)
    assert not outbox.can_advance

    outbox.written(now=0)

    assert outbox.can_advance


def test_answers_are_taken_when_transitions_are_not() -> None:
    outbox = an_outbox(budget_bytes=10)
    outbox.put(an_answer(100), now=0)
    assert outbox.is_full
    assert not outbox.can_advance

    outbox.put(an_answer(100), now=0)

    assert len(outbox) == 2


def test_a_client_that_stays_behind_is_closed_after_the_patience_and_one_that_catches_up_is_not() -> None:
    outbox = an_outbox(budget_bytes=150, patience_s=10.0)
    assert outbox.overflow_at is None
    outbox.put(an_answer(200), now=5.0)
    outbox.put(an_answer(200), now=9.0)
    assert outbox.overflow_at == 15.0
    assert outbox.overflow(now=14.9) is None

    close = outbox.overflow(now=15.0)
    assert close is not None
    assert close.code == 1013
    assert close.reason.startswith("TooManyConcurrentRequests")

    outbox.written(now=15.0)
    outbox.written(now=15.0)
    assert outbox.overflow(now=100.0) is None


def test_sizes_are_bytes_not_characters() -> None:
    outbox = an_outbox()
    outbox.put(FatalError("é"), now=0)
    assert outbox.size_bytes == len(write_message(FatalError("é")).payload)


def test_a_ping_is_due_after_silence() -> None:
    outbox = an_outbox()
    assert outbox.ping_at == 15.0
    outbox.put(TRANSITION, now=7.0)
    assert outbox.ping_at == 22.0
    outbox.put(Ping(), now=22.0)
    assert outbox.ping_at == 37.0
    outbox.passed_by(now=30.0)
    assert outbox.ping_at == 45.0


class Transport:
    """Takes frames while it is not full."""

    def __init__(self) -> None:
        self.taken: list[Frame] = []
        self.is_full = False

    def write(self, frame: Frame) -> bool:
        if not self.is_full:
            self.taken.append(frame)
        return not self.is_full


def test_what_a_transport_takes_at_once_does_not_wait() -> None:
    transport = Transport()
    outbox = Outbox(STOCK, budget_bytes=10, patience_s=1, ping_after_s=15, now=0, write=transport.write)
    size = outbox.put(an_answer(100), now=1)

    assert transport.taken == [write_message(an_answer(100))]
    assert (len(outbox), outbox.size_bytes, outbox.is_at_ease) == (0, 0, True)
    assert size == transport.taken[0].size_bytes
    assert outbox.ping_at == 16


def test_while_the_transport_is_paused_no_transition_is_made_and_what_waits_leaves_in_order() -> None:
    transport, waited = Transport(), list[int]()
    outbox = Outbox(
        STOCK, budget_bytes=500, patience_s=10, ping_after_s=15, now=0, write=transport.write, on_wait=lambda: waited.append(1)
    )
    transport.is_full = True
    outbox.paused(now=1)
    outbox.put(an_answer(1), now=2)
    outbox.put(Ping(), now=3)
    assert not outbox.can_advance
    assert (transport.taken, len(waited)) == ([], 2)

    transport.is_full = False
    outbox.resumed(now=4)

    assert transport.taken == [write_message(an_answer(1)), write_message(Ping())]
    assert outbox.can_advance
    assert outbox.overflow(now=100) is None


def test_a_transport_that_gets_rid_of_nothing_is_given_up_and_one_that_does_is_not() -> None:
    outbox = an_outbox(patience_s=10)
    outbox.paused(now=5)
    assert outbox.overflow(now=14.9) is None
    assert outbox.overflow(now=15) is not None

    outbox.paused(now=12)  # it got rid of some
    assert outbox.overflow(now=15) is None
    assert outbox.overflow_at == 22


def test_a_transport_that_pauses_at_the_last_frame_that_waited_is_a_paused_one() -> None:
    """It took the frame, and has not got rid of it: no transition is made, and its patience runs."""
    transport = Transport()

    def write(frame: Frame) -> bool:
        is_taken = transport.write(frame)
        transport.is_full = True
        outbox.paused(now=5)
        return is_taken

    outbox = Outbox(STOCK, budget_bytes=500, patience_s=10, ping_after_s=15, now=0, write=write)
    outbox.paused(now=1)
    transport.is_full = True
    outbox.put(an_answer(1), now=2)
    transport.is_full = False
    outbox.resumed(now=5)

    assert transport.taken == [write_message(an_answer(1))]
    assert (outbox.can_advance, outbox.is_at_ease) == (False, False)
    assert outbox.overflow_at == 15


def test_what_is_given_up_does_not_wait_any_more() -> None:
    outbox = an_outbox(budget_bytes=10)
    outbox.put(an_answer(100), now=0)
    outbox.clear()
    assert (len(outbox), outbox.next(), outbox.is_full) == (0, None, False)


@given(st.lists(st.sampled_from(["answer", "transition", "written"]), max_size=40))
def test_it_counts_exactly_what_waits(steps: list[str]) -> None:
    outbox, waiting = an_outbox(budget_bytes=500), list[ServerMessage]()
    for step in steps:
        if step == "written" and waiting:
            assert outbox.next() == write_message(waiting.pop(0))
            outbox.written(now=0)
        elif step == "answer" or (step == "transition" and outbox.can_advance):
            waiting.append(an_answer() if step == "answer" else TRANSITION)
            outbox.put(waiting[-1], now=0)

        transitions = sum(isinstance(message, Transition) for message in waiting)
        size = sum(write_message(message).size_bytes for message in waiting)
        assert (outbox.size_bytes, len(outbox)) == (size, len(waiting))
        assert outbox.can_advance == (transitions < 2 and size <= 500)
        assert (outbox.overflow_at is not None) == bool(waiting)
