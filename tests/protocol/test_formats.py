from __future__ import annotations

import pytest

from hub.errors import BadRequest
from hub.protocol.formats import FORMATS, STOCK, chosen


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
