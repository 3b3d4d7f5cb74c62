"""HeldRow and SentRow: a stored row that is kept in memory and read again and again, and what is sent of it.

The range cache makes them; who reads one keeps with it what was made of it, so that it is made once and goes when the row goes.
Nobody changes one: a row that changed is another HeldRow.
"""

from __future__ import annotations

import bson

from hub.values import Row, Value


class HeldRow(dict[str, Value]):
    """`size_bytes`: as BSON. `form`: what its reader made of it (`hub.functions.rows`), None before the first one.

    One that a mutation wrote `is_to_send`: the BSON that tells its size is what the database gets.
    """

    __slots__ = ("_encoded", "form", "size_bytes")

    def __init__(self, row: Row, *, is_to_send: bool = False) -> None:
        super().__init__(row)
        encoded = bson.encode(row)
        self.size_bytes: int = len(encoded)
        self.form: object | None = None
        self._encoded: bytes | None = encoded if is_to_send else None

    def take_encoded(self) -> bytes | None:
        """Its BSON, once: the row lives on in memory, and that does not."""
        encoded, self._encoded = self._encoded, None
        return encoded


class SentRow(dict[str, Value]):
    """A row in wire form, shared by all results that show it; nobody changes it. `size_bytes`: as it counts in a result.
    `text`: as JSON, `packed`: as MessagePack; both empty until it is written so for the first time."""

    __slots__ = ("packed", "size_bytes", "text")

    def __init__(self, row: Row, size_bytes: int) -> None:
        super().__init__(row)
        self.size_bytes = size_bytes
        self.text = ""
        self.packed = b""
