"""Names: what the hub calls its own collections and indexes in a database that others use too.

Both prefixes are part of the format of existing data: they were set once and do not change.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from hub.core.ranges import IndexKey
from hub.store import RESERVED_PREFIXES

COLLECTION_PREFIX = "hub_"
CLOCKS = "hub_clock"
"""Clock rows: `{_id: "serializable" or "hub:<hub id>", n: how often it was moved, by: the batch that moved it last}`."""
REQUESTS = "hub_requests"
"""Request records: `{_id: key, caller, body, outcome, keepS, expiresAt}`."""
MARKS = "hub_marks"
"""A row for each hub, written only to have an event in the feed."""
KEPT = dt.timedelta(days=7)
"""A hub's own clock row and mark go away when they were not touched for this long."""

INDEX_PREFIX = "hub:"
ID_INDEX = "_id_"


def is_own_collection(name: str) -> bool:
    return name.startswith(RESERVED_PREFIXES)


def hub_clock(hub_id: str) -> str:
    """The clock row of one hub, which its snapshot isolated commits move."""
    return f"hub:{hub_id}"


def index_name(key: IndexKey) -> str:
    if key.fields == ("_id",):
        return ID_INDEX
    return INDEX_PREFIX + ",".join(key.fields) + (":unique" if key.unique else "") + (":present" if key.partial else "")


_PRESENT = ("number", "string", "object", "binData", "objectId", "bool", "date", "timestamp", "regex")
"""Every type but null and arrays (which an index cannot hold)."""


def partial_filter(key: IndexKey) -> dict[str, Any]:
    """Which rows a `where present` index has; as a query it is true for exactly its entries."""
    return {name: {"$type": list(_PRESENT)} for name in key.fields if name != "_id"} if key.partial else {}
