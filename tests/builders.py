"""Small builders and Hypothesis strategies, so that a test says only what matters to it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

from hub.core.commits import BatchId, Commit, RowChange, TableReset
from hub.core.ranges import Bound, IndexKey, IndexRange
from hub.core.readset import ReadSet
from hub.store import Delete, Insert, Replace, RequestRecord, Update, Write, WriteBatch
from hub.timestamps import Timestamp
from hub.values import Int64, ObjectId, Row, RowId, Value

# --- rows, indexes, ranges --------------------------------------------------------------------------------------------

BY_ID = IndexKey("messages", ("_id",), unique=True)
BY_CHAT = IndexKey("messages", ("chatId", "createdAt", "_id"))
BY_CLIENT_ID = IndexKey("messages", ("chatId", "clientMessageId"), unique=True, partial=True)
BY_EMAIL = IndexKey("users", ("email", "_id"), partial=True)


def a_row(_id: RowId = "m1", **fields: Value) -> dict[str, Value]:
    return {"_id": _id, **fields}


def in_chat(chat: str = "a", **parts: Any) -> IndexRange:
    """Messages of one chat by time; `parts` are IndexRange's."""
    return IndexRange(BY_CHAT, (chat,), **parts)


def at_least(*values: Value) -> Bound:
    return Bound(values, inclusive=True)


def more_than(*values: Value) -> Bound:
    return Bound(values, inclusive=False)


at_most, less_than = at_least, more_than


def reads(*ranges: IndexRange, rows: set[tuple[str, RowId]] | None = None) -> ReadSet:
    return ReadSet(ranges=list(ranges), rows=set(rows or ()))


# --- commits ----------------------------------------------------------------------------------------------------------


def inserted(row: Row, table: str = "messages") -> RowChange:
    return RowChange(table, row["_id"], "insert", row)  # type: ignore[arg-type]  # the rows built here have string ids


def updated(row: Row, table: str = "messages") -> RowChange:
    return RowChange(table, row["_id"], "update", row)  # type: ignore[arg-type]  # the rows built here have string ids


def updated_by_others(row_id: RowId, table: str = "messages") -> RowChange:
    return RowChange(table, row_id, "update", None)


def deleted(row_id: RowId, table: str = "messages") -> RowChange:
    return RowChange(table, row_id, "delete", None)


def a_commit(ts: int, *changes: RowChange | TableReset, batch: str | None = None) -> Commit:
    return Commit(Timestamp(ts), changes, None if batch is None else BatchId(batch))


def a_batch(name: str, *writes: Write, records: tuple[RequestRecord, ...] = (), snapshot: bool = False) -> WriteBatch:
    return WriteBatch(BatchId(name), writes, records, "snapshot" if snapshot else "serializable")


def a_record(key: str = "ws:s:1", outcome: bytes = b"ok", caller: str = "nobody", body: str = "hash") -> RequestRecord:
    return RequestRecord(key, caller, body, outcome, keep_s=3600.0)


def insert(row: Row, table: str = "messages") -> Insert:
    return Insert(table, row)


def replace(row: Row, table: str = "messages") -> Replace:
    return Replace(table, row)


def delete(row_id: RowId, table: str = "messages") -> Delete:
    return Delete(table, row_id)


def update(before: Row, table: str = "messages", unset: tuple[str, ...] = (), **fields: Value) -> Update:
    """The update that sets and unsets these fields of `before`."""
    after = {name: value for name, value in {**before, **fields}.items() if name not in unset}
    return Update(table, before["_id"], fields, unset, after)  # type: ignore[arg-type]  # the rows built here have string ids


# --- strategies -------------------------------------------------------------------------------------------------------

MIN_DATE, MAX_DATE = dt.datetime(1900, 1, 1), dt.datetime(2100, 1, 1)  # noqa: DTZ001  # Hypothesis wants naive bounds

numbers = st.one_of(
    st.integers(-5, 5),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([2**53 - 1, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, 2**63 - 1024, -(2**63)]),
    st.integers(-(2**63), 2**63 - 1).map(Int64),
    st.floats(),
    st.sampled_from([float(2**53), float(2**53 + 2), float(2**63), -float(2**63), -0.0, 0.0, 5e-324]),
)
strings = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
    st.text(st.sampled_from("a\x00\x7f\x80\u00e9\uffff\ue000\U0001f600\U0010ffff"), max_size=3),
)
field_names = st.text(st.sampled_from("ab\u00e9\U0001f600"), min_size=1, max_size=2)
dates = st.datetimes(MIN_DATE, MAX_DATE, timezones=st.just(dt.UTC))
scalars: st.SearchStrategy[Value] = st.one_of(
    st.none(),
    st.booleans(),
    numbers,
    strings,
    st.binary(max_size=4),
    st.binary(min_size=12, max_size=12).map(ObjectId),
    dates,
)


def _nested(inner: st.SearchStrategy[Value]) -> st.SearchStrategy[Value]:
    return st.one_of(st.lists(inner, max_size=3), st.dictionaries(field_names, inner, max_size=3))


values: st.SearchStrategy[Value] = st.recursive(scalars, _nested, max_leaves=8)
"""Everything a row may hold."""

indexed_values: st.SearchStrategy[Value] = st.one_of(scalars, st.dictionaries(field_names, values, max_size=3))
"""What an indexed field may hold: everything but an array."""

few_values: st.SearchStrategy[Value] = st.sampled_from([None, 0, 1, 2.0, 3, "", "a", "b", True])
"""Few enough that rows meet ranges often."""

ids = st.sampled_from([f"m{n}" for n in range(6)])


@st.composite
def few_rows(draw: Callable[[st.SearchStrategy[Any]], Any]) -> dict[str, Value]:
    fields = {"x": draw(few_values), "y": draw(few_values)}
    return {"_id": draw(ids), **{name: value for name, value in fields.items() if value is not None}}


SOME_INDEXES = (
    IndexKey("t", ("_id",), unique=True),
    IndexKey("t", ("x", "y", "_id")),
    IndexKey("t", ("y", "_id")),
    IndexKey("t", ("x", "y"), unique=True, partial=True),
)


@st.composite
def few_ranges(draw: Callable[[st.SearchStrategy[Any]], Any], indexes: Sequence[IndexKey] = SOME_INDEXES) -> IndexRange:
    """Ranges of any shape over `few_rows`, without a limit."""
    index = draw(st.sampled_from(indexes))
    as_values = [ids if name == "_id" else few_values for name in index.fields]
    n = draw(st.integers(0, len(index.fields)))
    bound = _bounds(as_values[n:])
    return IndexRange(index, draw(st.tuples(*as_values[:n])), draw(bound), draw(bound), descending=draw(st.booleans()))


def _bounds(rest: list[st.SearchStrategy[Value]]) -> st.SearchStrategy[Bound | None]:
    if not rest:
        return st.none()
    positions = st.integers(1, len(rest)).flatmap(lambda m: st.tuples(*rest[:m]))
    return st.none() | st.builds(Bound, positions, inclusive=st.booleans())
