"""Content: a result's value as a tree, which edits lead to and from.

Every result that was evaluated has one; sessions hold the one that their client shows, and `hub.live.recents` some that clients
may still hold. Nobody changes it. It is itself and no other: what is cached of an edit is kept under the pair of contents.
"""

from __future__ import annotations

from hub.protocol import msgpack_values
from hub.values import Value


class Content:
    """`size_bytes`: as text; the tree shares most of it with the rows in memory."""

    __slots__ = ("_digest", "size_bytes", "tree")

    def __init__(self, tree: Value, size_bytes: int) -> None:
        self.tree = tree
        self.size_bytes = size_bytes
        self._digest = b""

    @property
    def is_digested(self) -> bool:
        return bool(self._digest)

    @property
    def digest(self) -> bytes:
        """SHA-256 of the canonical bytes; made when somebody asks, once."""
        self._digest = self._digest or msgpack_values.digest(self.tree)
        return self._digest
