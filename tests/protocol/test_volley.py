"""Volleys: what was decided for many sockets is written in that order, and an error at one is nobody else's matter."""

from __future__ import annotations

from collections.abc import Iterable

from hub.protocol import volley
from hub.protocol.volley import Volley


class Socket:
    """`written` is what went over all sockets of a test, in order."""

    def __init__(self, name: str, written: list[tuple[str, bytes]], *, is_broken: bool = False) -> None:
        self._name = name
        self._written = written
        self._is_broken = is_broken
        self.is_given_up = False

    def writelines(self, pieces: Iterable[bytes]) -> None:
        if self._is_broken:
            raise RuntimeError("the handler is closed")
        self._written.append((self._name, b"".join(pieces)))

    def could_not_be_written_to(self) -> None:
        self.is_given_up = True


def test_what_is_in_a_volley_is_written_once_when_it_leaves_and_in_order() -> None:
    written = list[tuple[str, bytes]]()
    leaving = Volley()
    for name in "abc":
        socket = Socket(name, written)
        assert leaving.add(socket, (name.encode(), b"!"), 2, socket)
    assert written == []

    leaving.leave()
    leaving.leave()

    assert written == [("a", b"a!"), ("b", b"b!"), ("c", b"c!")]


def test_a_socket_that_cannot_be_written_to_is_given_up_and_all_others_are_written_to() -> None:
    written = list[tuple[str, bytes]]()
    broken, others, leaving = Socket("b", written, is_broken=True), [Socket(name, written) for name in "ac"], Volley()
    for socket in (others[0], broken, others[1]):
        leaving.add(socket, (b"x",), 1, socket)

    leaving.leave()

    assert written == [("a", b"x"), ("c", b"x")]
    assert (broken.is_given_up, [socket.is_given_up for socket in others]) == (True, [False, False])


def test_a_volley_says_when_it_has_no_room() -> None:
    socket, leaving = Socket("a", []), Volley()
    rooms = [leaving.add(socket, (b"x",), 1, socket) for _ in range(volley.MAX_FRAMES)]
    assert rooms == [True] * (volley.MAX_FRAMES - 1) + [False]


def test_a_volley_is_bounded_in_bytes_too() -> None:
    socket, leaving = Socket("a", []), Volley()
    for _ in range(2):
        assert leaving.add(socket, (b"x",), volley.MAX_BYTES // 2, socket)
        assert not leaving.add(socket, (b"x",), volley.MAX_BYTES // 2, socket)
        leaving.leave()
