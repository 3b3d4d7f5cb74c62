from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from bson import BSON, Binary, Code, DBRef, Decimal128, MaxKey, MinKey, Regex
from bson.codec_options import CodecOptions
from bson.datetime_ms import DatetimeMS
from bson.timestamp import Timestamp as BsonTimestamp
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pymongo import MongoClient
from pymongo.collection import Collection

from hub.core.ranges import IndexKey
from hub.values import Int64, ObjectId, Value, sort_key
from tests import builders

MISSING = object()

foreign_values: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(["0", "-0", "1", "1.0", "2.5", "1E+30", "-1E-30", "NaN", "Infinity", "-Infinity", "9007199254740993"]).map(
        lambda text: Decimal128(Decimal(text))
    ),
    st.builds(BsonTimestamp, st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)),
    st.builds(Regex, st.sampled_from(["", "a", "b", "ab"]), st.sampled_from([0, re.I, re.M, re.I | re.M, re.S, re.X, re.I | re.X])),
    st.builds(Code, st.sampled_from(["", "a", "b"])),
    st.builds(Code, st.sampled_from(["", "a", "b"]), st.sampled_from([{}, {"a": 1}, {"a": 2}])),
    st.builds(DBRef, st.sampled_from(["a", "b"]), st.sampled_from([1, "x"]), st.sampled_from([None, "a", "b"])),
    st.builds(Binary, st.binary(max_size=3), st.sampled_from([0, 4, 5, 128])),
    st.integers(-(2**62), 2**62).map(DatetimeMS),
    st.just(MinKey()),
    st.just(MaxKey()),
)
"""What another writer's row may have in an indexed field, beyond what tables declare."""

foreign_inside = st.dictionaries(builders.field_names, foreign_values | builders.scalars, min_size=1, max_size=2)


@pytest.fixture(scope="module")
def rows(mongo_url: str) -> Iterator[Collection[dict[str, Any]]]:
    """A collection with an index on `v`."""
    with MongoClient[dict[str, Any]](mongo_url, tz_aware=True) as client:
        client.drop_database("test_values")
        collection = client["test_values"]["rows"]
        collection.create_index([("v", 1), ("_id", 1)])
        yield collection
        client.drop_database("test_values")


def order_in_the_database(rows: Collection[dict[str, Any]], values: list[Any]) -> list[int]:
    """Positions in `values`, as an index scan brings them; equal ones in the order given."""
    rows.delete_many({})
    rows.insert_many([{"_id": n} if value is MISSING else {"_id": n, "v": value} for n, value in enumerate(values)])
    scan = rows.find({}, {"_id": 1}).hint([("v", 1), ("_id", 1)]).sort([("v", 1), ("_id", 1)])
    return [row["_id"] for row in scan]


def order_by_key(values: list[Any]) -> list[int]:
    return sorted(range(len(values)), key=lambda n: sort_key(None if values[n] is MISSING else values[n]))


@pytest.mark.real
@settings(max_examples=80)
@given(st.lists(builders.indexed_values | st.just(MISSING), min_size=2, max_size=40))
@example([MISSING, None, math.nan, -math.inf, -(2**63), -0.0, 0, 0.0, 2**53, 2.0**53, 2**53 + 1, 2**63 - 1, 2.0**63, math.inf])
@example(["", "\x00", "a", "a\x00", "a\x00b", "aa", "\uffff", "\U00010000", "é"])
@example(
    [{}, {"a": None}, {"a": 1}, {"b": 0}, {"a": "x"}, {"b": {}}, {"a": []}, {"a": [[], {}]}, {"a": 1, "b": None}, {"a": [1, None]}]
)
def test_values_sort_as_an_index_of_the_database_sorts_them(rows: Collection[dict[str, Any]], values: list[Any]) -> None:
    assert order_by_key(values) == order_in_the_database(rows, values)


@pytest.mark.real
@settings(max_examples=60)
@given(st.lists(foreign_values | builders.scalars | foreign_inside, min_size=2, max_size=40))
@example([{"$ref": "a", "$id": 1}, DBRef("a", 1), {"a": 1}, b"", Regex("a"), MaxKey()])
@example([Code("a"), "a", Regex("a"), Code("a", {}), DBRef("a", 1), MaxKey()])
@example([Regex("a", flags) for flags in (re.M, re.I | re.M, re.I, re.X, re.S)])
def test_values_that_only_others_write_sort_as_an_index_sorts_them_too(rows: Collection[dict[str, Any]], values: list[Any]) -> None:
    assert order_by_key(values) == order_in_the_database(rows, values)


@given(builders.values)
def test_a_value_that_went_through_the_database_has_the_same_key(value: Value) -> None:
    options: CodecOptions[dict[str, Any]] = CodecOptions(tz_aware=True)
    assert sort_key(BSON.encode({"v": value}).decode(options)["v"]) == sort_key(value)


@given(builders.values, builders.values)
def test_keys_order_any_two_values_and_equal_keys_hash_alike(one: Value, other: Value) -> None:
    left, right = sort_key(one), sort_key(other)
    assert (left < right) + (left == right) + (left > right) == 1
    assert left != right or hash(left) == hash(right)


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        pytest.param(1, 1.0, True, id="an int and a float of one value"),
        pytest.param(Int64(1), 1, True, id="an Int64 and an int"),
        pytest.param(0.0, -0.0, True, id="both zeros"),
        pytest.param(math.nan, -math.nan, True, id="every NaN"),
        pytest.param(True, 1, False, id="True and 1"),
        pytest.param(2**53, 2**53 + 1, False, id="neighbours that a float cannot tell apart"),
        pytest.param(b"a", "a", False, id="bytes and text"),
        pytest.param({"a": 1, "b": 2}, {"b": 2, "a": 1}, False, id="objects whose fields stand in another order"),
        pytest.param({"a": None}, {}, False, id="a null field and none, inside an object"),
        pytest.param(dt.datetime(2026, 1, 1), dt.datetime(2026, 1, 1, tzinfo=dt.UTC), True, id="naive is UTC"),  # noqa: DTZ001
        pytest.param(ObjectId(b"a" * 12), b"a" * 12, False, id="an ObjectId and its bytes"),
        pytest.param({"a": DBRef("c", 1)}, {"a": DBRef("c", 1.0)}, True, id="references"),
    ],
)
def test_keys_are_equal_exactly_where_the_database_finds_equality(one: Any, other: Any, is_same: bool) -> None:
    assert (sort_key(one) == sort_key(other)) == is_same


def test_what_no_row_can_hold_has_no_place_in_the_order() -> None:
    with pytest.raises(TypeError, match="set"):
        sort_key({1})  # type: ignore[arg-type]  # what the test is about


@pytest.mark.parametrize("value", [0, "", False, b"", [], {}])
def test_only_none_is_not_present(value: Value) -> None:
    index = IndexKey("t", ("name",), unique=True, partial=True)
    assert index.holds({"name": value})
    assert not index.holds({"name": None})
