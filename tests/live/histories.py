"""Histories: whether what transactions saw can be explained by running them one after another.

The transactions append to lists and read whole lists (the list-append workload of Elle, Kingsbury and Alvaro 2020): each value is
appended once, so a list tells the order of the appends to it, and who saw which of them. From that follow the edges "must come
before"; a history without a serial order has a cycle of them.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Appended:
    """One committed transaction: it saw `seen` lists, and then appended its own name to the list `to` (None: it only read)."""

    name: str
    to: str | None
    seen: Mapping[str, Sequence[str]]


def problem(history: Sequence[Appended], final: Mapping[str, Sequence[str]]) -> str | None:
    """What is wrong with the history, given the lists in the end; None if there is a serial order for it."""
    by_name = {one.name: one for one in history}
    for one in history:
        if one.to is not None and list(final[one.to]).count(one.name) != 1:
            return f"{one.name} is {list(final[one.to]).count(one.name)} times in {one.to}"
        for key, values in one.seen.items():
            if list(values) != list(final[key])[: len(values)]:
                return f"{one.name} saw {list(values)} of {key}, which was never so: {list(final[key])}"
    unknown = {name for values in final.values() for name in values} - by_name.keys()
    if unknown:
        return f"nobody appended {sorted(unknown)}"
    cycle = _cycle(_edges(history, final))
    return None if cycle is None else "no order: " + " -> ".join(cycle)


def _edges(history: Sequence[Appended], final: Mapping[str, Sequence[str]]) -> dict[str, set[str]]:
    after: dict[str, set[str]] = defaultdict(set)
    for values in final.values():
        for before, behind in itertools.pairwise(values):
            after[before].add(behind)
    for one in history:
        for key, values in one.seen.items():
            if values and values[-1] != one.name:
                after[values[-1]].add(one.name)  # it saw that write
            if len(values) < len(final[key]) and final[key][len(values)] != one.name:
                after[one.name].add(final[key][len(values)])  # and not the next one
    return after


def _cycle(after: Mapping[str, set[str]]) -> list[str] | None:
    """Some cycle, by a walk in depth without recursion."""
    done: set[str] = set()
    for start in after:
        path: list[str] = []
        on_path: set[str] = set()
        stack: list[tuple[str, bool]] = [(start, True)]
        while stack:
            name, enters = stack.pop()
            if not enters:
                path.pop()
                on_path.discard(name)
                done.add(name)
            elif name in on_path:
                return [*path[path.index(name) :], name]
            elif name not in done:
                path.append(name)
                on_path.add(name)
                stack.append((name, False))
                stack += [(other, True) for other in after.get(name, ())]
    return None
