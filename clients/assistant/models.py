"""What answers: a `Model` is anything that makes a stream of text from the turns of a chat."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class Turn:
    role: Literal["user", "assistant", "system"]
    text: str


class Model(Protocol):
    """`reply` gives an answer piece by piece, and may be closed before its end. Raises ModelFailed."""

    def reply(self, turns: Sequence[Turn]) -> AsyncGenerator[str, None]: ...


class ModelFailed(Exception):
    """There is no answer, or not all of it. The message is for the person who asked, so it tells nothing about the machinery."""
