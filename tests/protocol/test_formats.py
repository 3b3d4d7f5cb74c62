from __future__ import annotations

import pytest

from hub.errors import BadRequest
from hub.protocol.formats import FORMATS, STOCK, chosen
from hub.protocol.messages import QueryChanged, QueryId, Success, Transition, Version
from hub.timestamps import Timestamp


@pytest.mark.parametrize("asked", [[], ["unheard-of"]], ids=["none", "an unknown one"])
def test_a_client_that_asks_for_no_known_format_gets_the_stock_one(asked: list[str]) -> None:
    assert chosen(asked) is STOCK


def test_a_client_gets_the_first_known_format_that_it_asks_for() -> None:
    named = [known for known in FORMATS if known.subprotocol is not None]
    for known in named:
        assert chosen(["unheard-of", known.subprotocol or "", *(other.subprotocol or "" for other in named)]) is known


def test_the_stock_format_is_text() -> None:
    with pytest.raises(BadRequest, match="text, not binary"):
        STOCK.read(b"{}")


def test_sessions_in_equal_state_get_the_same_frame_and_others_their_own() -> None:
    result = Success("[]")

    def transition(query_id: int, ts: int = 2) -> Transition:
        return Transition(Version(1), Version(1, 0, Timestamp(ts)), (QueryChanged(QueryId(query_id), result),))

    first, equal, other, later = (STOCK.write(each) for each in (transition(0), transition(0), transition(1), transition(1, ts=3)))

    assert first is equal
    assert len({frame.payload for frame in (first, other, later)}) == 3
