"""The worked examples of docs/wire-format.md: both formats of a frame say the same, and the digest is the digest."""

from __future__ import annotations

import hashlib
import json
import re

import pytest

from hub.protocol import msgpack_values
from hub.protocol.formats import JSON, MSGPACK
from hub.values import Value
from tests import native_client
from tests.docs.pages import REPOSITORY, Block, blocks
from tests.model_client import Watched
from tests.native_client import Form, NativeClient

PAGE = REPOSITORY / "docs" / "wire-format.md"
BLOCKS = blocks(PAGE)
FRAMES = [(hexes, BLOCKS[i + 1]) for i, hexes in enumerate(BLOCKS) if hexes.words[:1] in (("client",), ("hub",))]
HELD: list[Value] = [{"_id": "m1", "text": "hi \N{WAVING HAND SIGN} there"}]

PATCHED = 2


def raw(block: Block) -> bytes:
    return bytes.fromhex(re.sub(r";.*", "", block.text))


def in_json(block: Block) -> str:
    assert block.language == "json"
    return block.text


def understood(form: Form, payload: str | bytes) -> object:
    """As a client shows it that holds what the page says."""
    client, frame = NativeClient(form=form), form.unpack(payload)
    client.queries[0] = Watched("", {})
    client.kept[0] = [HELD]
    if isinstance(frame, list) and frame[3][0][0] == PATCHED:
        client.holds[0] = [{"_id": "m1", "text": "hi \N{WAVING HAND SIGN}"}]
    return client.as_stock(payload)


@pytest.mark.parametrize(("packed", "text"), FRAMES, ids=[str(packed) for packed, _ in FRAMES])
def test_both_formats_of_an_example_say_the_same(packed: Block, text: Block) -> None:
    if packed.words[0] == "client":
        assert MSGPACK.read(raw(packed)) == JSON.read(in_json(text))
    else:
        assert understood(native_client.MSGPACK, raw(packed)) == understood(native_client.JSON, in_json(text))


def test_the_canonical_bytes_and_their_digest_are_those_of_the_held_value() -> None:
    (canonical,) = [raw(block) for block in BLOCKS if block.words[:1] == ("canonical",)]

    assert canonical == msgpack_values.canonical(HELD)
    assert f"`{hashlib.sha256(canonical).hexdigest()}`" in PAGE.read_text()
    assert hashlib.sha256(canonical).digest() in next(raw(packed) for packed, text in FRAMES if '"held"' in text.text)


def test_an_example_is_as_small_as_the_page_says() -> None:
    (token,) = [raw(packed) for packed, text in FRAMES if '" there"' in text.text]

    assert len(token) == 55
    assert "A word is added to the message's text, 55 bytes in all" in PAGE.read_text()
    assert json.loads(next(text.text for packed, text in FRAMES if raw(packed) == token))[0] == 1
