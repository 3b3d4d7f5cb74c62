from __future__ import annotations

import contextlib
import math
import struct
from typing import Any

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hub.core.heldrow import SentRow
from hub.errors import BadRequest
from hub.protocol import json_values
from hub.protocol.msgpack_values import canonical, decode, digest, encode, parse
from hub.values import Int64, Value
from tests.protocol.test_json_values import alike, nested, values


@given(values)
@example(-0.0)
@example({"a": [math.nan, -math.inf, Int64(-(2**63)), 2**53, -(2**53), b"", True, 1], "\N{WAVING HAND SIGN}"[:0]: {}})
def test_decoding_undoes_encoding(value: Value) -> None:
    assert alike(decode(parse(encode(value))), value)


@given(values)
def test_both_forms_stand_for_the_same_value(value: Value) -> None:
    by_json = json_values.decode(json_values.parse(json_values.encode(value)))

    assert alike(decode(parse(encode(value))), by_json)


@given(values)
def test_the_same_value_has_the_same_canonical_bytes_and_another_one_has_others(value: Value) -> None:
    again = decode(parse(encode(value)))

    assert canonical(again) == canonical(value)
    assert len(digest(value)) == 32
    assert canonical([again, 0]) != canonical([again, -0.0])


@pytest.mark.parametrize(
    ("value", "packed"),
    [
        pytest.param(1, "cb3ff0000000000000", id="an int is a float64"),
        pytest.param(-0.0, "cb8000000000000000", id="-0 keeps its sign"),
        pytest.param(-math.nan, "cb7ff8000000000000", id="one NaN"),
        pytest.param(Int64(1), "d7010000000000000001", id="int64"),
        pytest.param({"b": None, "a": True, "B": "é"}, "83a142a2c3a9a161c3a162c0", id="keys in order"),
        pytest.param([b"", b"a"], "92c400c40161", id="bytes"),
    ],
)
def test_canonical_bytes(value: Value, packed: str) -> None:
    assert canonical(value).hex() == packed


def test_a_row_is_packed_once_for_all_results_that_show_it() -> None:
    row = SentRow({"_id": "a", "n": Int64(1), "of": {"x": [1.5]}}, 100)

    alone, listed, paged = encode(row), encode([row]), encode({"page": [row], "isDone": True})

    assert alike(decode(parse(alone)), dict(row))
    assert alone in listed
    assert alone in paged
    row.packed = b"\xc3"
    shown: list[Value] = [row, [row], {"page": [row]}]
    assert [decode(parse(encode(value))) for value in shown] == [True, [True], {"page": [True]}]


@given(st.binary(max_size=60))
@example(bytes.fromhex("dd7fffffff"))
@example(bytes.fromhex("dfffffffff"))
@example(bytes.fromhex("c6ffffffff"))
@example(bytes.fromhex("91" * 2000 + "c0"))
@example(bytes.fromhex("81c4016101"))
@example(bytes.fromhex("819001"))
@example(bytes.fromhex("a1ff"))
@example(bytes.fromhex("d6ff00000001"))
def test_any_bytes_are_a_value_or_refused(packed: bytes) -> None:
    with contextlib.suppress(BadRequest):
        json_values.encode(decode(parse(packed)))


def test_a_short_frame_makes_no_long_list() -> None:
    with pytest.raises(BadRequest, match="not MessagePack"):
        parse(b"\xdd\x00\x0f\xff\xff" * 1000)


@pytest.mark.parametrize(
    ("tree", "reason"),
    [
        pytest.param({"a": [1, 2**53 + 1]}, r"a\[1\]: the integer is beyond", id="an int that is not exact"),
        pytest.param({"a": {"$x": 1}}, r"a\['\$x'\]: a key must be", id="a key like a tag"),
        pytest.param({"é": 1}, "a key must be", id="a key that is not ASCII"),
        pytest.param({"__proto__": 1}, "a key must not be", id="a key that JavaScript would take for a class"),
        pytest.param({b"a": 1}, "a key must be a string", id="a key of bytes"),
        pytest.param(msgpack.ExtType(2, b"12345678"), "extension type", id="an unknown extension"),
        pytest.param(msgpack.ExtType(1, b"1234"), "extension type", id="an int64 of 4 bytes"),
        pytest.param(msgpack.Timestamp(1, 0), "extension type", id="MessagePack's own timestamp"),
        pytest.param(nested(65), "nested too deeply", id="too deep"),
    ],
)
def test_what_is_no_value_is_refused_by_place(tree: Any, reason: str) -> None:
    with pytest.raises(BadRequest, match=reason):
        decode(parse(msgpack.packb(tree)))


def test_half_a_character_is_found_where_it_stands() -> None:
    tree = parse(msgpack.packb({"a": "\ud83d"}, unicode_errors="surrogatepass"))

    with pytest.raises(BadRequest, match="a: the string has an unpaired surrogate"):
        decode(tree)


@pytest.mark.parametrize(
    "packed", [b"\x07", b"\xcc\x07", b"\xd2\x00\x00\x00\x07", b"\xd3" + struct.pack(">q", 7), b"\xca" + struct.pack(">f", 7)]
)
def test_a_number_is_a_float64_however_it_is_packed(packed: bytes) -> None:
    read = decode(parse(packed))

    assert type(read) is float
    assert read == 7.0
