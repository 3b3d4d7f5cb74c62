from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.frames import Frame as WebSocketFrame
from websockets.protocol import State
from websockets.uri import parse_uri

from hub.protocol.frames import Frame, text_frame


def received(frames: list[Frame]) -> list[tuple[str, bytes]]:
    """What a client of the library makes of the bytes."""
    client = ClientProtocol(parse_uri("ws://hub/"), state=State.OPEN, max_size=None)
    client.receive_data(b"".join(piece for frame in frames for piece in frame.ready()))
    events = client.events_received()
    assert all(isinstance(event, WebSocketFrame) and event.fin for event in events)
    return [(event.opcode.name, bytes(event.data)) for event in events if isinstance(event, WebSocketFrame)]


@given(st.lists(st.lists(st.binary(max_size=200), max_size=4)))
def test_a_client_reads_each_ready_frame_as_one_message(payloads: list[list[bytes]]) -> None:
    frames = [Frame(False, tuple(pieces), sum(map(len, pieces))) for pieces in payloads]
    assert received(frames) == [("BINARY", b"".join(pieces)) for pieces in payloads]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 65_537, 1_000_000])
def test_every_length_has_its_header(size: int) -> None:
    for _ in range(2):  # made, and kept
        assert received([text_frame(b"x" * (size // 2), b"y" * (size - size // 2))]) == [
            ("TEXT", b"x" * (size // 2) + b"y" * (size - size // 2))
        ]
