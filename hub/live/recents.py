"""Recents: values that clients which left may still hold, so that one who comes back gets an edit and not the whole.

Connections put in what their client was shown when its socket ended, and what it was shown shortly before, in case the last of it
did not arrive. Kept by query key, so nobody finds what another identity was shown; forgotten in the order in which they were left.
A client proves by a digest what it holds: nothing here is needed for a right answer, only for a short one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hub.live.query import QueryKey
from hub.protocol.content import Content
from hub.protocol.messages import Resumed

MAX_FOR_ONE_QUERY = 8
MAX_DIGESTED_BYTES = 1024 * 1024
"""Of a value; making the digest of a larger one would stop the loop for too long (measured: 13 ms for this much)."""
MAX_DIGESTED_BYTES_FOR_ONE = 4 * MAX_DIGESTED_BYTES
"""Of values of which digests are made for one client while it is connected: whoever offers digests for a thousand queries that
nobody else shows must not stop the loop for everybody. It is sent whole values then."""
KEY_BYTES = 500
"""Beside the texts in it: of a query that something is kept of. Small values under long arguments are not free."""


class Recents:
    def __init__(self, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._by_key: OrderedDict[QueryKey, dict[Content, None]] = OrderedDict()
        self.size_bytes = 0

    def keep(self, key: QueryKey, contents: Iterable[Content]) -> None:
        """The latest last."""
        kept = self._by_key.get(key)
        if kept is None:
            kept = self._by_key[key] = {}
            self.size_bytes += _size(key)
        self._by_key.move_to_end(key)
        for content in contents:
            if content.size_bytes > MAX_DIGESTED_BYTES:
                continue  # nobody can prove to hold it
            if content not in kept:
                self.size_bytes += content.size_bytes
            kept.pop(content, None)
            kept[content] = None
        while len(kept) > MAX_FOR_ONE_QUERY:
            self._forget(kept, next(iter(kept)))
        while self.size_bytes > self._max_bytes:
            oldest_key, oldest = self._by_key.popitem(last=False)
            self.size_bytes -= _size(oldest_key)
            for content in list(oldest):
                self._forget(oldest, content)

    def of(self, key: QueryKey) -> Iterable[Content]:
        return self._by_key.get(key, ())

    def _forget(self, kept: dict[Content, None], content: Content) -> None:
        del kept[content]
        self.size_bytes -= content.size_bytes


def _size(key: QueryKey) -> int:
    return KEY_BYTES + sum(len(text) for text in key if text is not None)


@dataclass(slots=True)
class Allowance:
    """How much may still be digested for a client."""

    bytes_left: int = MAX_DIGESTED_BYTES_FOR_ONE

    def covers(self, content: Content) -> bool:
        """Whether its digest may be asked for, which is then taken off."""
        if content.is_digested:
            return True
        if content.size_bytes > min(MAX_DIGESTED_BYTES, self.bytes_left):
            return False
        self.bytes_left -= content.size_bytes
        return True


def found(digests: Sequence[bytes], current: Content, others: Iterable[Content], allowance: Allowance) -> Resumed | None:
    """What the client holds of these: best what is shown now, else what it named first."""
    places = {digest: index for index, digest in reversed(list(enumerate(digests)))}

    def is_held(content: Content) -> bool:
        return allowance.covers(content) and content.digest in places

    if is_held(current):
        return Resumed(places[current.digest], current)
    known = {places[content.digest]: content for content in others if is_held(content)}
    return Resumed(min(known), known[min(known)]) if known else None
