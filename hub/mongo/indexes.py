"""Indexes: makes the database fit the declared tables, and refuses where it cannot. Called by `hub.mongo.store`.

Safe while the hub runs and while others do the same. Only indexes that carry the hub's own names are ever dropped, and only
when asked; an index of somebody else that does the same work is used as it is.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bson import MaxKey, MinKey
from bson.int64 import Int64
from pymongo.errors import OperationFailure, PyMongoError

from hub.core.ranges import IndexKey
from hub.errors import ConfigError, Unavailable
from hub.mongo import faults, names
from hub.mongo.driver import Document, Link, from_bson, time_limit
from hub.store import CLOCK, DeclaredTable
from hub.timestamps import ZERO, Timestamp

log = logging.getLogger(__name__)

_DURABLE = {"writeConcern": {"w": "majority"}}
_NAMESPACE_EXISTS, _INDEX_NOT_FOUND, _DUPLICATE_KEY = 48, 27, 11000
_ALL = {"batchSize": 100_000}


@dataclass(slots=True)
class Prepared:
    """What `prepare` found and did. `changed_at`: reads at earlier timestamps cannot use what was made. `left_over`: by table,
    the hub's own indexes that nobody declares any more."""

    index_names: dict[IndexKey, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    changed_at: Timestamp = ZERO
    left_over: dict[str, list[str]] = field(default_factory=dict)


class Patient:
    """A link whose commands end in time. Building an index, and looking through a table, may take `long_s`."""

    def __init__(self, link: Link, *, short_s: float, long_s: float) -> None:
        self._link = link
        self._short_s = short_s
        self._long_s = long_s

    async def command(self, command: Document) -> Document:
        takes_long = "createIndexes" in command or "find" in command
        with time_limit(self._long_s if takes_long else self._short_s):
            return await self._link.command(command)


async def prepare_own(link: Patient) -> None:
    """The hub's own collections; the server removes from them what has outlived its `expiresAt`."""
    for name in (names.CLOCKS, names.REQUESTS, names.MARKS):
        # This creates the collection too.
        expiry = {"key": {"expiresAt": 1}, "name": f"{names.INDEX_PREFIX}expiresAt", "expireAfterSeconds": 0}
        await link.command({"createIndexes": name, "indexes": [expiry], **_DURABLE})
    first = {"q": {"_id": CLOCK}, "u": {"$setOnInsert": {"n": Int64(0)}}, "upsert": True}
    await link.command({"update": names.CLOCKS, "updates": [first], **_DURABLE})


async def prepare_tables(link: Patient, tables: Sequence[DeclaredTable], *, drop_unused: bool) -> Prepared:
    """Raises ConfigError with one line for each table that cannot be prepared; the others are prepared all the same.

    Nothing is dropped unless every table could be prepared: after a refusal the code of before goes on, with its indexes.
    """
    done = Prepared()
    problems: list[str] = []
    try:
        existing = await _collections(link, [table.name for table in tables])
        for table in tables:
            try:
                await _prepare_table(link, table, existing.get(table.name), done, drop_unused=drop_unused)
            except ConfigError as exc:
                problems.append(exc.message)
        if not problems:
            await _clear_away(link, done, drop_unused=drop_unused)
    except PyMongoError as exc:
        raise Unavailable(f"tables cannot be prepared: {faults.brief(exc)}") from exc
    if problems:
        raise ConfigError("\n".join(problems))
    return done


async def _prepare_table(
    link: Patient, table: DeclaredTable, collection: Document | None, done: Prepared, *, drop_unused: bool
) -> None:
    """Everything but to drop what is left over."""
    if names.is_own_collection(table.name):
        raise ConfigError(f"table {table.name}: names that begin with {names.COLLECTION_PREFIX!r} or 'system.' are taken")
    if collection is None:
        made_at = await _create_collection(link, table.name)
        done.changed_at = max(done.changed_at, made_at)
        done.notes.append(f"created collection {table.name}")
    else:
        _refuse_unfit(table.name, collection)
    wanted = [key for key in table.indexes if key.fields != ("_id",)]
    indexes = await _indexes(link, table.name)
    serving = {key: index["name"] for key in wanted for index in indexes if _serves(index, key)}
    missing = [key for key in wanted if key not in serving]
    done.left_over[table.name] = _left_over(indexes, wanted)
    if drop_unused:
        await _drop_impostors(link, table.name, missing, done)
    await _create_indexes(link, table.name, missing, done)
    serving |= {key: names.index_name(key) for key in missing}
    for key, name in serving.items():
        await _refuse_arrays(link, key, name, done, is_new=key in missing)
    done.index_names |= serving


async def _drop_impostors(link: Patient, table: str, missing: Sequence[IndexKey], done: Prepared) -> None:
    """What has the name of an index that is to be made, and is something else, serves nobody and is in its way."""
    left_over = done.left_over[table]
    taken = [name for key in missing if (name := names.index_name(key)) in left_over]
    await _drop(link, table, taken, done)
    done.left_over[table] = [name for name in left_over if name not in taken]


async def _clear_away(link: Patient, done: Prepared, *, drop_unused: bool) -> None:
    for table, left_over in done.left_over.items():
        if drop_unused:
            await _drop(link, table, left_over, done)
        else:
            done.notes += [f"{table}: index {name} is not declared any more; it was left as it is" for name in left_over]


def _refuse_unfit(table: str, collection: Document) -> None:
    options = collection.get("options", {})
    kinds = {
        "a view": collection.get("type") == "view",
        "a time series collection": collection.get("type") == "timeseries",
        "a capped collection": bool(options.get("capped")),
        "a clustered collection": "clusteredIndex" in options,
        "a collection with a collation of its own": "collation" in options,
    }
    for kind, is_so in kinds.items():
        if is_so:
            raise ConfigError(f"table {table}: {kind} cannot be a table of the hub")


def _serves(index: Mapping[str, Any], key: IndexKey) -> bool:
    """Whether an existing index holds the same rows in the same order, and forbids no less."""
    unique = bool(index.get("unique"))
    return (
        list(index["key"].items()) == [(name, 1) for name in key.fields]
        and (unique == key.unique or (unique and key.fields[-1] == "_id"))
        and index.get("partialFilterExpression", {}) == names.partial_filter(key)
        and not any(index.get(option) for option in ("sparse", "hidden", "collation"))
    )


def _left_over(indexes: Sequence[Mapping[str, Any]], wanted: Sequence[IndexKey]) -> list[str]:
    """Indexes with names of ours that nobody declares, or that are not what their name says."""
    return [
        index["name"]
        for index in indexes
        if index["name"].startswith(names.INDEX_PREFIX)
        and not any(names.index_name(key) == index["name"] and _serves(index, key) for key in wanted)
    ]


async def _collections(link: Patient, wanted: Sequence[str]) -> dict[str, Document]:
    reply = await link.command({"listCollections": 1, "filter": {"name": {"$in": list(wanted)}}, "cursor": _ALL})
    return {found["name"]: found for found in reply["cursor"]["firstBatch"]}


async def _indexes(link: Patient, table: str) -> list[Document]:
    reply = await link.command({"listIndexes": table, "cursor": _ALL})
    found: list[Document] = reply["cursor"]["firstBatch"]
    return found


async def _create_collection(link: Patient, name: str) -> Timestamp:
    try:
        reply = await link.command({"create": name, **_DURABLE})
    except OperationFailure as exc:
        if exc.code != _NAMESPACE_EXISTS:
            raise
        reply = await link.command({"ping": 1})
    return from_bson(reply["operationTime"])


async def _create_indexes(link: Patient, table: str, keys: Sequence[IndexKey], done: Prepared) -> None:
    """All in one command, which makes all of them or none."""
    if not keys:
        return
    try:
        reply = await link.command({"createIndexes": table, "indexes": [_specification(key) for key in keys], **_DURABLE})
    except OperationFailure as exc:
        raise ConfigError(f"table {table}: {_why_not(keys, exc)}") from exc
    done.changed_at = max(done.changed_at, from_bson(reply["operationTime"]))
    done.notes += [f"{table}: created index ({', '.join(key.fields)})" for key in keys]


def _specification(key: IndexKey) -> Document:
    specification: Document = {"key": dict.fromkeys(key.fields, 1), "name": names.index_name(key)}
    if key.unique:
        specification["unique"] = True
    if key.partial:
        specification["partialFilterExpression"] = names.partial_filter(key)
    return specification


def _why_not(keys: Sequence[IndexKey], exc: OperationFailure) -> str:
    details = exc.details or {}
    if exc.code == _DUPLICATE_KEY:
        fields = ", ".join(details.get("keyPattern", {}))
        held = ", ".join(f"{name}={value!r}" for name, value in details.get("keyValue", {}).items())
        return f"index ({fields}) cannot be unique: several rows have {held or 'the same values'}"
    every = "; ".join(f"({', '.join(key.fields)})" for key in keys)
    return f"index {every} cannot be made: {faults.brief(exc)}"


async def _drop(link: Patient, table: str, index_names: Sequence[str], done: Prepared) -> None:
    for name in index_names:
        try:
            reply = await link.command({"dropIndexes": table, "index": name, **_DURABLE})
        except OperationFailure as exc:
            if exc.code != _INDEX_NOT_FOUND:  # another hub was faster
                raise
            continue
        done.changed_at = max(done.changed_at, from_bson(reply["operationTime"]))
        done.notes.append(f"{table}: dropped index {name}, which is not declared any more")


async def _refuse_arrays(link: Patient, key: IndexKey, name: str, done: Prepared, *, is_new: bool) -> None:
    """An array has an entry for each element, so its row would stand in several places of the index.

    The index itself knows whether it ever held one (and does not forget), so rows are searched only then.
    """
    if not await _is_multikey(link, key, name):
        return
    for path in key.fields:
        rows = await link.command(
            {"find": key.table, "filter": {path: {"$type": "array"}}, "limit": 1, "projection": {"_id": 1}, "singleBatch": True}
        )
        if rows["cursor"]["firstBatch"]:
            if is_new:
                await _drop(link, key.table, [name], Prepared())
                done.notes.pop()
            row_id = rows["cursor"]["firstBatch"][0]["_id"]
            raise ConfigError(
                f"table {key.table}: index ({', '.join(key.fields)}) cannot be used: {path!r} is an array in row {row_id}"
            )


async def _is_multikey(link: Patient, key: IndexKey, name: str) -> bool:
    reply = await link.command(
        {
            "explain": {
                "find": key.table,
                "filter": names.partial_filter(key),
                "hint": name,
                "min": {path: MinKey() for path in key.fields},
                "max": {path: MaxKey() for path in key.fields},
            },
            "verbosity": "queryPlanner",
        }
    )
    return any(_multikey_flags(reply["queryPlanner"]["winningPlan"]))


def _multikey_flags(plan: object) -> Iterator[bool]:
    """Stages are nested, in ways that differ between versions of the server."""
    if isinstance(plan, dict):
        if "isMultiKey" in plan:
            yield bool(plan["isMultiKey"])
        for inner in plan.values():
            yield from _multikey_flags(inner)
