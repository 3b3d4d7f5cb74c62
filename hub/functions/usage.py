"""Usage: what one run has read and written so far, held against its limits."""

from __future__ import annotations

from collections.abc import Sequence

from hub.errors import LimitExceeded
from hub.functions.limits import Limits
from hub.functions.rows import size_of
from hub.values import Row, RowId


class Usage:
    __slots__ = ("_bytes_read", "_bytes_written", "_function", "_limits", "_row_bytes", "_rows_read")

    def __init__(self, limits: Limits, function: str) -> None:
        self._limits = limits
        self._function = function
        self._rows_read = 0
        self._bytes_read = 0
        self._bytes_written = 0
        self._row_bytes: dict[tuple[str, RowId], int] = {}

    @property
    def size_bytes(self) -> int:
        """Of all rows read and written."""
        return self._bytes_read + self._bytes_written

    @property
    def rows_left(self) -> int:
        return self._limits.rows_read - self._rows_read

    def count_read(self, rows: Sequence[Row]) -> None:
        """Raises LimitExceeded."""
        self._rows_read += len(rows)
        if self._rows_read > self._limits.rows_read:
            raise LimitExceeded(
                f"{self._function} read more than {self._limits.rows_read} rows; read a range with take(n), or paginate"
            )
        self._bytes_read += sum(size_of(row) for row in rows)
        if self._bytes_read > self._limits.bytes_read:
            raise LimitExceeded(f"{self._function} read more than {self._limits.bytes_read} bytes of rows")

    def count_write(self, table: str, row_id: RowId, row: Row | None) -> None:
        """`row` is what the row became; None for a delete. Raises LimitExceeded."""
        size = 0 if row is None else size_of(row)
        if size > self._limits.row_bytes:
            raise LimitExceeded(f"{self._function} wrote a row of {size} bytes to {table}; a row may have {self._limits.row_bytes}")
        self._bytes_written += size - self._row_bytes.get((table, row_id), 0)
        self._row_bytes[table, row_id] = size
        if len(self._row_bytes) > self._limits.rows_written:
            raise LimitExceeded(f"{self._function} wrote more than {self._limits.rows_written} rows")
        if self._bytes_written > self._limits.bytes_written:
            raise LimitExceeded(f"{self._function} wrote more than {self._limits.bytes_written} bytes of rows")
