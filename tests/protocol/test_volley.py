"""Volleys: what was decided for many sockets is written in that order, and an error at one is nobody else's matter."""

from __future__ import annotations

from collections.abc import Iterable

from hub.protocol import volley
from hub.protocol.formats import STOCK
from hub.protocol.frames import Frame, text_frame
from hub.protocol.outbox import Outbox
from hub.protocol.volley import Volley


class Socket:
    """`written` is what went over all sockets of a test, in order."""

    def __init__(self, name: str, written: list[tuple[str, bytes]], *, is_broken: bool = False) -> None:
        self._name = name
        self._written = written
        self._is_broken = is_broken
        self.is_given_up = False

    def write(self, frame: Frame) -> bool:
        self.writelines(frame.ready())
        return True

    def writelines(self, pieces: Iterable[bytes]) -> None:
        if self._is_broken:
            raise RuntimeError("the handler is closed")
        self._written.append((self._name, b"".join(pieces)[2:]))

    def could_not_be_written_to(self) -> None:
        self.is_given_up = True


def an_outbox(socket: Socket, *, takes_at_once: bool = True) -> Outbox:
    if not takes_at_once:
        return Outbox(STOCK, budget_bytes=500, patience_s=10, ping_after_s=15, now=0)
    return Outbox(STOCK, budget_bytes=500, patience_s=10, ping_after_s=15, now=0, write=socket.write, transport=socket)


def test_what_is_for_many_is_written_when_the_volley_leaves_and_in_order() -> None:
    written = list[tuple[str, bytes]]()
    leaving = Volley()
    for name in "abc":
        socket = Socket(name, written)
        assert an_outbox(socket).put_in_volley(text_frame(name.encode(), is_wide=True), 1, leaving, socket)
    assert written == []

    leaving.leave()
    leaving.leave()

    assert written == [("a", b"a"), ("b", b"b"), ("c", b"c")]


def test_what_is_for_few_is_written_at_once() -> None:
    written = list[tuple[str, bytes]]()
    socket, leaving = Socket("a", written), Volley()

    assert not an_outbox(socket).put_in_volley(text_frame(b"few"), 1, leaving, socket)

    assert written == [("a", b"few")]


def test_where_nothing_is_written_at_once_it_waits_in_the_outbox() -> None:
    socket, leaving = Socket("a", []), Volley()
    outbox = an_outbox(socket, takes_at_once=False)
    frame = text_frame(b"many", is_wide=True)

    assert not outbox.put_in_volley(frame, 1, leaving, socket)

    assert outbox.next() is frame


def test_it_counts_as_put_in_so_that_no_ping_is_due() -> None:
    socket, leaving = Socket("a", []), Volley()
    outbox = an_outbox(socket)
    outbox.put_in_volley(text_frame(b"many", is_wide=True), 7, leaving, socket)
    assert outbox.ping_at == 22


def test_a_socket_that_cannot_be_written_to_is_given_up_and_all_others_are_written_to() -> None:
    written = list[tuple[str, bytes]]()
    broken, others, leaving = Socket("b", written, is_broken=True), [Socket(name, written) for name in "ac"], Volley()
    for socket in (others[0], broken, others[1]):
        an_outbox(socket).put_in_volley(text_frame(b"x", is_wide=True), 1, leaving, socket)

    leaving.leave()

    assert written == [("a", b"x"), ("c", b"x")]
    assert (broken.is_given_up, [socket.is_given_up for socket in others]) == (True, [False, False])


def test_a_volley_says_when_it_has_no_room() -> None:
    socket, leaving = Socket("a", []), Volley()
    rooms = [an_outbox(socket).put_in_volley(text_frame(b"x", is_wide=True), 1, leaving, socket) for _ in range(volley.FRAMES)]
    assert rooms == [True] * (volley.FRAMES - 1) + [False]
