"""Commits: what the change feed tells, in order, and the bounded log of the latest.

A Commit is one write transaction of anybody; its row changes are the net effect on each row. Values are in stored form:
names and types as they lie in the database.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NewType

from hub.timestamps import Timestamp
from hub.values import Row, RowId

BatchId = NewType("BatchId", str)
"""Names one transaction of this deployment, before it is sent; unique for ever."""


@dataclass(frozen=True, slots=True)
class RowChange:
    """What one commit did to one row.

    `after` is the row's new image; None for a delete, and None with `kind == "update"` when another writer's delta alone is
    known: whoever needs the image then reads the row at the position it is working at.
    """

    table: str
    id: RowId
    kind: Literal["insert", "replace", "update", "delete"]
    after: Row | None = None

    @property
    def is_unresolved(self) -> bool:
        return self.kind != "delete" and self.after is None


@dataclass(frozen=True, slots=True)
class TableReset:
    """A collection was dropped, renamed or its indexes rebuilt by hand: everything read from it is stale."""

    table: str


@dataclass(frozen=True, slots=True)
class Commit:
    """One transaction. `batch` is set when this process committed it."""

    ts: Timestamp
    changes: tuple[RowChange | TableReset, ...]
    batch: BatchId | None = None
