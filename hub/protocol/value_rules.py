"""What every encoding of values demands alike: of keys, texts, nesting, numbers; and how it is told where a value breaks it.

Used by `json_values` and `msgpack_values`, where the encodings themselves are.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from json.encoder import encode_basestring as _quote
from typing import Any

from hub.errors import FunctionError, LimitExceeded
from hub.values import Value

MAX_NESTING = 64
"""Containers inside each other, the outermost included; what Convex allows."""
MAX_BYTES = 16 * 1024 * 1024
"""Of one encoded value; what Convex allows for arguments and results."""
MAX_KEY_LENGTH = 1024
MAX_EXACT_INT = 2**53
"""Beyond it a float64 skips integers; `hub.Int64` carries them."""


class Problem(Exception):
    """What is wrong with a value; the way to it is collected while the recursion unwinds."""

    def __init__(self, reason: str, error: type[FunctionError] = FunctionError) -> None:
        super().__init__(reason)
        self.reason = reason
        self.error = error
        self.steps: list[str] = []

    def __str__(self) -> str:
        place = "".join(reversed(self.steps)).removeprefix(".")
        return f"{place}: {self.reason}" if place else self.reason


def step(name: object) -> str:
    """One field on the way, safe to print and short whatever a client called it."""
    return f".{name}" if isinstance(name, str) and name.isidentifier() and name.isascii() else f"[{ascii(name)[:60]}]"


@lru_cache(maxsize=4096)
def quoted_key(name: str) -> str:
    """The key as JSON, with its colon; raises Problem for what cannot be one. Cached: field names repeat in every row."""
    if not isinstance(name, str):
        raise Problem(f"a key must be a string, not {type(name).__name__}")
    if name.startswith("$") or len(name) > MAX_KEY_LENGTH or not (name.isascii() and name.isprintable()):
        raise Problem(f"a key must be printable ASCII, at most {MAX_KEY_LENGTH} characters, and not begin with `$`")
    if name == "__proto__":
        raise Problem("a key must not be `__proto__`: JavaScript takes it for the object's class")
    return f"{_quote(name)}:"


def refuse_unpaired_surrogates(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Problem("the string has an unpaired surrogate (half of a character)") from None


def too_deep() -> Problem:
    return Problem("nested too deeply", LimitExceeded)


Read = Callable[[object, int], Value]
"""An encoding's own reader of one element, given how many containers may still be opened in it."""


def read_object(tree: dict[Any, object], room: int, read: Read) -> dict[str, Value]:
    if not room:
        raise too_deep()
    items: dict[str, Value] = {}
    name: Any = ""
    try:
        for name, item in tree.items():
            quoted_key(name)
            items[name] = item if type(item) is str and item.isascii() else read(item, room - 1)
    except Problem as problem:
        problem.steps.append(step(name))
        raise
    return items


def read_list(tree: list[object], room: int, read: Read) -> list[Value]:
    if not room:
        raise too_deep()
    items: list[Value] = []
    try:
        for item in tree:
            items.append(read(item, room - 1))  # noqa: PERF401  # the length tells where it failed
    except Problem as problem:
        problem.steps.append(f"[{len(items)}]")
        raise
    return items
