"""Pagination: pages whose ends stay where they were first cut, so that a live list has neither gaps nor doubles.

A cursor names a position in one index under one prefix, in one direction; so does a journal, which is a page's end. Both are
opaque to clients, and checked when they come back: a position outside of what the function reads never widens the read.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import bson
from bson.errors import BSONError
from pydantic import ConfigDict, Field

from hub.core.ranges import Bound, IndexRange, tuple_key
from hub.errors import InvalidCursor
from hub.functions.objects import Model
from hub.values import Value

T = TypeVar("T")


class PageOptions(Model):
    """The argument `paginationOpts` of the clients' paginated queries."""

    model_config = ConfigDict(extra="ignore")

    num_items: int = Field(ge=1)
    cursor: str | None = None
    end_cursor: str | None = None
    id: int | None = None
    """Tells a client's own subscriptions apart; means nothing here."""


class Page(Model, Generic[T]):
    """The result of a paginated query."""

    page: list[T]
    is_done: bool
    continue_cursor: str


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a page starts (not in it) and ends (in it); None for the start is the list's, for the end not known yet.

    An end of `()` is the end of the list, wherever it moves.
    """

    after: tuple[Value, ...] | None
    until: tuple[Value, ...] | None


END: tuple[Value, ...] = ()


def cut(options: PageOptions, wanted: IndexRange, journal: str | None) -> Cut:
    """Raises InvalidCursor for a cursor that is not of this index, prefix and order."""
    after = None if options.cursor is None else _decode(options.cursor, wanted)
    end = options.end_cursor if options.end_cursor is not None else journal
    return Cut(after, None if end is None else _decode(end, wanted))


def page_range(wanted: IndexRange, where: Cut) -> IndexRange | None:
    """The part of the range that the page shows; None if nothing can lie in it, because it starts at the end of the list."""
    is_one_key = len(wanted.prefix) == len(wanted.index.fields)
    if where.after == END or (where.after is not None and is_one_key):
        return None
    part = wanted
    if where.after is not None:
        part = _starting_after(part, where.after)
    if where.until and not is_one_key:
        part = _ending_with(part, where.until)
    return part


def encode(wanted: IndexRange, position: tuple[Value, ...]) -> str:
    """A cursor for the position, or for the end of the list."""
    document = bson.encode({"l": _fingerprint(wanted), "p": list(position)})
    return base64.urlsafe_b64encode(document).rstrip(b"=").decode()


def _decode(cursor: str, wanted: IndexRange) -> tuple[Value, ...]:
    try:
        document = bson.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        position = tuple(document["p"])
        tuple_key(position)  # only what a row can hold
        of_this_list = document["l"] == _fingerprint(wanted) and len(position) in (0, len(wanted.index.fields))
    except (BSONError, KeyError, TypeError, ValueError, binascii.Error, OverflowError):
        of_this_list = False
    if not of_this_list or (position and tuple_key(position[: len(wanted.prefix)]) != tuple_key(wanted.prefix)):
        raise InvalidCursor("InvalidCursor: the cursor is not of this query (another index, prefix or order); start over")
    return position


def _fingerprint(wanted: IndexRange) -> bytes:
    """Names the list: bounds are left out, for a function may move them (`at_least(ctx.now - day)`) from run to run."""
    named = (wanted.table, wanted.index.fields, tuple_key(wanted.prefix), wanted.descending)
    return hashlib.sha256(repr(named).encode()).digest()[:8]


def _starting_after(wanted: IndexRange, position: tuple[Value, ...]) -> IndexRange:
    """Both the range's own bound and the cursor hold: the tighter one is used."""
    edge = Bound(position[len(wanted.prefix) :], inclusive=False)
    if wanted.descending:
        return replace(wanted, upper=edge) if replace(wanted, lower=None).contains_position(position) else wanted
    return replace(wanted, lower=edge) if replace(wanted, upper=None).contains_position(position) else wanted


def _ending_with(wanted: IndexRange, position: tuple[Value, ...]) -> IndexRange:
    edge = Bound(position[len(wanted.prefix) :], inclusive=True)
    if wanted.descending:
        return replace(wanted, lower=edge) if replace(wanted, upper=None).contains_position(position) else wanted
    return replace(wanted, upper=edge) if replace(wanted, lower=None).contains_position(position) else wanted
