"""Random values and random changes to them: what edits are made of, in the proportions that applications have."""

from __future__ import annotations

import math
from random import Random
from typing import Any

from hub.values import Int64

SCALARS: tuple[Any, ...] = (
    None, True, False, 0.0, -0.0, 1.0, -7.5, 1e300, 2.0**53, math.nan, math.inf, -math.inf,
    Int64(0), Int64(5), Int64(-(2**63)), Int64(2**63 - 1), b"", b"\x00\xff", "", "text", "naïve", "👋", "👩‍👩‍👧",
)  # fmt: skip
WORDS = ("a", " word", "…", "é", "👋", "👩‍👩‍👧", "\n", "𝒳𝒴", "the quick brown fox")


def scalar(random: Random) -> Any:
    return random.choice(SCALARS) if random.random() < 0.7 else random.uniform(-1e6, 1e6)


def value(random: Random, depth: int = 3) -> Any:
    kind = random.randrange(5) if depth > 0 else 0
    if kind <= 1:
        return scalar(random)
    if kind == 2:
        return {random.choice("abcdef"): value(random, depth - 1) for _ in range(random.randrange(4))}
    if kind == 3:
        return [value(random, depth - 1) for _ in range(random.randrange(4))]
    return "".join(random.choice(WORDS) for _ in range(random.randrange(12)))


def row(random: Random) -> dict[str, Any]:
    return {"_id": f"r{random.randrange(40)}", "text": "".join(random.choices(WORDS, k=3)), "n": scalar(random)}


def changed(random: Random, old: Any) -> Any:
    """Something like the old value, or now and then another one."""
    if random.random() < 0.05:
        return value(random)
    if isinstance(old, str):
        return _changed_text(random, old)
    if isinstance(old, list):
        return _changed_list(random, old)
    if isinstance(old, dict):
        return _changed_fields(random, old)
    return scalar(random)


def _changed_text(random: Random, old: str) -> str:
    if random.random() < 0.7 and len(old) < 400:
        return old + random.choice(WORDS)
    start = random.randint(0, len(old))
    return old[:start] + random.choice(WORDS) + old[min(len(old), start + random.randrange(5)) :]


def _changed_list(random: Random, old: list[Any]) -> list[Any]:
    new = list(old)
    for _ in range(random.randrange(1, 4)):
        at = random.randrange(len(new)) if new else 0
        match random.randrange(4):
            case 0 if len(new) < 30:
                new.insert(at, row(random))
            case 1 if new:
                new.insert(random.randrange(len(new)), new.pop(at))
            case 2 if new:
                new[at] = changed(random, new[at])
            case _ if new:
                del new[at]
    return new


def _changed_fields(random: Random, old: dict[str, Any]) -> dict[str, Any]:
    new = dict(old)
    key = random.choice([*old, *"abc"])
    if key in new and key != "_id" and random.random() < 0.2:
        del new[key]
    elif key != "_id":
        new[key] = changed(random, new.get(key))
    return new
