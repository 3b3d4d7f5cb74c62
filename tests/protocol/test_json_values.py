from __future__ import annotations

import base64
import json
import math
import struct
from enum import Enum, IntEnum
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hub.errors import BadRequest, FunctionError, LimitExceeded
from hub.protocol.json_values import canonical, decode, decode_args, encode, lossy, lossy_text, parse
from hub.values import Int64, Value

keys = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8).filter(lambda key: not key.startswith("$"))
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats()
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.binary(max_size=20)
    | st.integers(-(2**63), 2**63 - 1).map(Int64)
)
values: st.SearchStrategy[Value] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)
any_text = st.text(st.characters(exclude_categories=[]))
"""Unpaired surrogates too."""
json_trees: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "$integer", "$float", "$bytes", "$set", "é", "\ud800"]), inner, max_size=2)
    ),
    max_leaves=10,
)


def alike(one: Value, other: Value) -> bool:
    """Equal on the wire: numbers by value and sign, Int64 and bool apart from them, NaN equal to itself."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(alike(one[name], other[name]) for name in one)
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        same_kind = isinstance(one, bool) == isinstance(other, bool) and isinstance(one, Int64) == isinstance(other, Int64)
        if math.isnan(one) or math.isnan(other):
            return math.isnan(one) and math.isnan(other)
        return same_kind and one == other and math.copysign(1, one) == math.copysign(1, other)
    return type(one) is type(other) and one == other


def nested(depth: int) -> Value:
    value: Value = "leaf"
    for _ in range(depth):
        value = [value]
    return value


@given(values)
@example(-0.0)
@example({"a": [math.nan, -math.inf, Int64(-(2**63)), 2**53, b"", True, 1]})
def test_decoding_undoes_encoding(value: Value) -> None:
    assert alike(decode(parse(encode(value))), value)


@given(values)
def test_encoded_text_is_strict_json(value: Value) -> None:
    json.loads(encode(value), parse_constant=pytest.fail)
    encode(value).encode()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param(3, "3.0", id="a whole int is written as a float"),
        pytest.param(3.0, "3.0", id="and so is a whole float"),
        pytest.param(1e22, "1e+22", id="a large float"),
        pytest.param(True, "true", id="a bool is not a number"),
        pytest.param(Int64(5), '{"$integer":"BQAAAAAAAAA="}', id="int64"),
        pytest.param(Int64(21), '{"$integer":"FQAAAAAAAAA="}', id="int64 21"),
        pytest.param(math.nan, '{"$float":"AAAAAAAA+H8="}', id="NaN"),
        pytest.param(-math.nan, '{"$float":"AAAAAAAA+H8="}', id="NaN has no sign"),
        pytest.param(-math.inf, '{"$float":"AAAAAAAA8P8="}', id="minus infinity"),
        pytest.param(-0.0, '{"$float":"AAAAAAAAAIA="}', id="minus zero"),
        pytest.param(b"hub", '{"$bytes":"aHVi"}', id="bytes"),
        pytest.param({"b": None, "a": ["é\n"]}, '{"b":null,"a":["é\\n"]}', id="keys stay in the order given"),
        pytest.param("$5", '"$5"', id="a string may look like a tag"),
        pytest.param({}, "{}", id="an empty object"),
    ],
)
def test_values_have_the_text_that_clients_expect(value: Value, text: str) -> None:
    assert encode(value) == text
    assert alike(decode(json.loads(text)), float(value) if type(value) is int else value) or math.isnan(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        pytest.param({"a": [1, {"b": 2**53 + 1}]}, r"^a\[1\]\.b: the int is beyond", id="an int that a float64 cannot hold"),
        pytest.param([Int64(2**63)], r"^\[0\]: the Int64", id="an Int64 of more than 64 bits"),
        pytest.param({"a": {"$b": 1}}, r"^a\['\$b'\]: a key", id="a key like a tag"),
        pytest.param({"é": 1}, r"^\['\\xe9'\]: a key", id="a key beyond ASCII"),
        pytest.param({"a\n": 1}, "a key must be printable", id="a key with a control character"),
        pytest.param({"__proto__": 1}, "a key must not be `__proto__`", id="a key that JavaScript would take for a class"),
        pytest.param({"k" * 1025: 1}, "at most 1024", id="a key too long"),
        pytest.param({1: 1}, "a key must be a string, not int", id="a key that is no string"),
        pytest.param({"a": "x\ud83d"}, "^a: the string has an unpaired surrogate", id="half an emoji"),
        pytest.param([object()], r"^\[0\]: a object cannot go", id="an object"),
        pytest.param([{1, 2}], r"^\[0\]: a set cannot go", id="a set"),
    ],
)
def test_what_the_wire_cannot_carry_is_an_error_that_names_its_place(value: Any, message: str) -> None:
    with pytest.raises(FunctionError, match=message):
        encode(value)


def test_nesting_is_limited_and_so_is_a_value_that_contains_itself() -> None:
    endless: list[Value] = []
    endless.append(endless)

    encode(nested(64))
    with pytest.raises(LimitExceeded, match="nested too deeply"):
        encode(nested(65))
    with pytest.raises(LimitExceeded, match="nested too deeply"):
        encode(endless)


def test_the_size_limit_counts_bytes() -> None:
    encode("é" * 10, max_bytes=22)
    with pytest.raises(LimitExceeded, match="23 bytes, the limit is 22"):
        encode("é" * 10 + "x", max_bytes=22)


def test_subclasses_are_written_as_what_they_are() -> None:
    class Role(str, Enum):  # noqa: UP042  # what applications write
        user = "user"

    class Rank(IntEnum):
        first = 1

    class Rows(list[Value]):
        pass

    assert encode(Rows([Role.user.value, Rank.first])) == '["user",1.0]'
    assert encode([Role.user]) == '["user"]'


@given(values)
def test_equal_arguments_have_one_canonical_text_whatever_the_order_of_keys(value: Value) -> None:
    assert canonical({"a": value, "b": 1}) == canonical({"b": 1.0, "a": reordered(value)})


def reordered(value: Value) -> Value:
    if isinstance(value, dict):
        return {name: reordered(value[name]) for name in reversed(list(value))}
    return [reordered(item) for item in value] if isinstance(value, list) else value


@given(values, values)
def test_different_arguments_have_different_canonical_texts(one: Value, other: Value) -> None:
    same = canonical({"a": one}) == canonical({"a": other})
    assert same == alike_in_any_order(one, other)


def alike_in_any_order(one: Value, other: Value) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike_in_any_order(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(alike_in_any_order, one, other))
    return alike(one, other)


@given(json_trees)
def test_decoding_any_json_gives_a_value_or_bad_request_and_never_more(tree: Any) -> None:
    try:
        value = decode(tree)
    except BadRequest:
        return
    assert alike(decode(parse(encode(value))), value)
    canonical({"a": value})


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        pytest.param({"a": {"$float": base64.b64encode(struct.pack("<d", 1.0)).decode()}}, r"^a: \$float is for", id="1.0"),
        pytest.param({"$float": "AAAA"}, "must hold 8 bytes", id="a float of 3 bytes"),
        pytest.param({"$integer": "AAAAAAAAAAAA"}, "must hold 8 bytes", id="an integer of 9 bytes"),
        pytest.param({"$integer": 5}, "string in base64", id="an integer as a number"),
        pytest.param({"$bytes": "é"}, "string in base64", id="bytes not in base64"),
        pytest.param({"$bytes": "a-_="}, "string in base64", id="bytes in another base64"),
        pytest.param({"$set": []}, "a key that begins with", id="a set"),
        pytest.param({"$commitTs": None}, "a key that begins with", id="a placeholder of Convex's"),
        pytest.param({"$integer": "BQAAAAAAAAA=", "b": 1}, "a key must be", id="a tag among other keys"),
        pytest.param(["\udc00"], r"^\[0\]: the string has an unpaired", id="half an emoji"),
        pytest.param({"x": [1, 10**400]}, r"^x\[1\]: the number is too large", id="a huge integer"),
        pytest.param(math.inf, "the number is too large", id="1e999"),
        pytest.param(nested(65), "nested too deeply", id="too deep"),
    ],
)
def test_a_tree_that_is_no_value_is_refused_with_its_place(tree: Any, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        decode(tree)


def test_a_plain_number_is_a_float_however_it_is_written() -> None:
    assert type(decode(3)) is float
    assert type(decode({"$integer": "BQAAAAAAAAA="})) is Int64


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("{", id="cut"),
        pytest.param("NaN", id="NaN"),
        pytest.param("[-Infinity]", id="Infinity"),
        pytest.param("[" * 200_000, id="depth bomb"),
        pytest.param('{"a":' * 200_000, id="depth bomb of objects"),
        pytest.param("1" * 5000, id="thousands of digits"),
        pytest.param(b"\xff", id="not UTF-8"),
        pytest.param("\ufeff{}", id="byte order mark"),
    ],
)
def test_text_that_is_not_json_is_a_bad_request(text: str | bytes) -> None:
    with pytest.raises(BadRequest):
        parse(text)


def test_arguments_are_a_list_of_one_object_and_over_http_also_the_object_alone() -> None:
    assert decode_args([{"a": 1}]) == {"a": 1}
    assert decode_args({"a": 1}, allow_object=True) == {"a": 1}
    wrong_shapes: list[object] = [{"a": 1}, [], [{}, {}], None]
    for wrong in wrong_shapes:
        with pytest.raises(BadRequest, match="a list of one object"):
            decode_args(wrong)
    with pytest.raises(BadRequest, match="must be an object"):
        decode_args([3])
    with pytest.raises(BadRequest, match="must be an object"):
        decode_args({"$bytes": ""}, allow_object=True)


def test_lossy_output_has_no_tags() -> None:
    value: Value = {"i": Int64(2**60), "b": b"hub", "n": [math.nan, math.inf, -math.inf, 1.5], "s": "$5", "z": None}

    plain = {"i": str(2**60), "b": "aHVi", "n": ["NaN", "Infinity", "-Infinity", 1.5], "s": "$5", "z": None}
    assert lossy(value) == plain
    assert json.loads(lossy_text(encode(value))) == plain


@given(values)
def test_lossy_text_is_the_lossy_form_of_the_value(value: Value) -> None:
    assert json.loads(lossy_text(encode(value))) == lossy(value)
