"""Limits: how much one run of a function may use. What happens at each limit: the run ends with `LimitExceeded`."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Per run. The defaults follow Convex's; sizes are those of BSON for rows, and about those of JSON for values."""

    cpu_s: float = 2.0
    """Processor time of the function's own code; waiting for rows does not count."""
    rows_read: int = 32_000
    bytes_read: int = 16 * MIB
    rows_written: int = 16_000
    bytes_written: int = 16 * MIB
    row_bytes: int = MIB
    args_bytes: int = 16 * MIB
    result_bytes: int = 16 * MIB
    nesting: int = 64
    """How deep arrays and objects may lie in one another, in arguments and results."""
    log_lines: int = 256
    """More are dropped, and the last line says so."""
    log_line_chars: int = 4_096
    """A longer line is cut."""
