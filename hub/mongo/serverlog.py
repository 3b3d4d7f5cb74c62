"""ServerLog: what the embedded mongod writes: one file for each start, bounded, and the errors in it as a line for people.

Used by `hub.mongo.embedded`. Invariant: at most two files, each not much larger than the limit.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

LIMIT_BYTES = 8 * 1024 * 1024
TAIL_BYTES = 64 * 1024
LINE_LIMIT = 400
"""Characters of one line that are quoted."""


class ServerLog:
    """`path` is written by the server, in append mode; `before` is what the last start, or the last cut, left."""

    def __init__(self, path: Path, limit_bytes: int = LIMIT_BYTES) -> None:
        self.path = path
        self.before = path.with_suffix(".log.1")
        self._limit_bytes = limit_bytes

    def begin(self) -> None:
        """Before each start: its log is its own, and why the server before it ended stays readable."""
        if self.path.exists():
            self.path.replace(self.before)

    def bound(self) -> None:
        """Cuts a file that grew too large while the server writes it. Lines written between copy and cut are lost."""
        if self.path.exists() and self.path.stat().st_size > self._limit_bytes:
            shutil.copyfile(self.path, self.before)
            os.truncate(self.path, 0)

    def tail(self) -> str:
        try:
            with self.path.open("rb") as file:
                file.seek(max(0, self.path.stat().st_size - TAIL_BYTES))
                return file.read().decode("utf-8", "replace")
        except OSError:
            return ""

    def last_words(self, count: int = 3) -> str:
        """The last errors; where there are none, simply the last lines. Empty if the server said nothing."""
        lines = [line.strip() for line in self.tail().splitlines() if line.strip()]
        said = [words for line in lines if (words := _complaint(line))] or lines
        return " | ".join(words[:LINE_LIMIT] for words in said[-count:])


def _complaint(line: str) -> str | None:
    """A line about an error, for people: mongod logs JSON, the loader and a crashing process print plain text."""
    try:
        entry = json.loads(line)
    except ValueError:
        return line
    if not isinstance(entry, dict) or entry.get("s") not in ("E", "F"):
        return None
    return f"{entry.get('msg')} {json.dumps(entry['attr']) if 'attr' in entry else ''}".strip()
