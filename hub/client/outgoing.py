"""Outgoing: a text on its way to the hub in pieces: what is due to be written, when, and what came of it.

Pure: the text streams of both clients (`hub.client.streams`) tell it the time and the answers, and send and wait as it says. The
mutation takes `delta`, `offset` (UTF-16 code units) and `status` beside its own arguments. Invariants: at most one write is on its
way; the writes' deltas, one after the other, are the text, each at the offset where those before it end; no character is cut. So
the text is written exactly once: a repeat has the same key, and where even that is not recognised, its text is there already.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from hub.client.references import Args
from hub.errors import ApplicationError, BadRequest, FunctionError
from hub.utf16 import has_half, utf16_length, whole_characters

Status: TypeAlias = Literal["streaming", "complete", "error"]

_REPLACEMENT: Final = "\ufffd"
"""In place of half a character whose other half never came."""


@dataclass(frozen=True, slots=True)
class Pacing:
    """How pieces of a text are put together for a write. What waits longer than `interval_s` since the last write began is written,
    and so is what has `batch_chars`. A writer that is `max_waiting_chars` ahead of the hub waits."""

    interval_s: float = 0.05
    batch_chars: int = 2_000
    max_waiting_chars: int = 50_000


@dataclass(frozen=True, slots=True)
class Write:
    """One call of the mutation. `end`: the offset behind its delta."""

    args: Args
    idempotency_key: str
    end: int


class Outgoing:
    """`length`: of the text so far, written or not; `written`: of what the hub has. `answer` is the mutation's last."""

    def __init__(self, args: Args, offset: int, pacing: Pacing) -> None:
        self.length = self.written = offset
        self.answer: Any = None
        self.failure: Exception | None = None
        self._args = {name: value for name, value in args.items() if name != "content"}
        self._pacing = pacing
        self._name = uuid.uuid4().hex
        self._writes = 0
        self._waiting: list[str] = []
        self._waiting_chars = 0
        self._half = ""
        self._began = float("-inf")
        self._status: Status = "streaming"
        self._is_over = False
        self._tells_failure = False

    @property
    def is_full(self) -> bool:
        return self._waiting_chars >= self._pacing.max_waiting_chars and self.failure is None and not self._is_over

    @property
    def is_stopped(self) -> bool:
        """Somebody else ended the text: the rest is not wanted."""
        return self._is_over and self._status == "streaming" and self.failure is None

    def add(self, delta: str) -> None:
        """Raises BadRequest for half of a character that cannot become a whole one, and what went wrong before."""
        self.check()
        text, half = whole_characters(self._half + delta)
        if has_half(text):
            raise BadRequest("half of a character (an unpaired surrogate) in the text")
        self._half = half
        self._put(text)

    def end(self, status: Status) -> None:
        """No more comes. What waits is written with this status."""
        if self._half:
            self._half = ""
            self._put(_REPLACEMENT)
        if not self._is_over:
            self._status = status

    def check(self) -> None:
        if self.failure is not None:
            raise self.failure

    # --- writing -----------------------------------------------------------------------------------------------------

    def opening(self) -> Write:
        """The first write: it makes the message, before there is any text."""
        return self._write("", self.written)

    def due(self, now: float) -> Write | float | None:
        """What is to be written now, or how long there is nothing to do; None when all is done."""
        if self._tells_failure:
            return self._write("", 0)
        if self._is_over:
            return None
        wait_s = self._wait_s(now)
        if wait_s > 0:
            return wait_s
        self._began = now
        delta = "".join(self._waiting)
        self._waiting.clear()
        self._waiting_chars = 0
        return self._write(delta, self.written)

    def succeeded(self, write: Write, answer: Any) -> None:
        self.answer = answer
        self.written = max(self.written, write.end)
        is_ended = isinstance(answer, Mapping) and answer.get("status") == "complete"
        self._tells_failure = False
        self._is_over = self._is_over or is_ended or write.args["status"] != "streaming"

    def failed(self, error: Exception) -> None:
        """A hub that answered is told, once, that the text broke off."""
        self._tells_failure = self.failure is None and isinstance(error, ApplicationError | FunctionError)
        self.failure = self.failure or error
        self._status = "error"
        self._is_over = True

    def _wait_s(self, now: float) -> float:
        if self._status != "streaming" or self._waiting_chars >= self._pacing.batch_chars:
            return 0.0
        return max(0.0, self._began + self._pacing.interval_s - now) if self._waiting else float("inf")

    def _put(self, text: str) -> None:
        if text and not self._is_over:
            self._waiting.append(text)
            self._waiting_chars += len(text)
        self.length += utf16_length(text)

    def _write(self, delta: str, offset: int) -> Write:
        self._writes += 1
        args = {**self._args, "delta": delta, "offset": offset, "status": self._status}
        return Write(args, f"{self._name}-{self._writes}", offset + utf16_length(delta))
