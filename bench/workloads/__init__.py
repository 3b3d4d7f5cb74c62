"""The workloads, in the order of the page. Each is a module that says what it measures and drives it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from bench.jobs import Case, Measurement, Places, Scale
from bench.workloads import external, fan_out, idle, invalidation, light, mixed, mutations, rooms, storm, streaming


class Workload(Protocol):
    """What such a module has."""

    TITLE: str
    TEXT: str
    """For the page: what is done, and what an operation is."""
    OPERATION: str
    FRESH: bool
    """Whether the servers are started anew for each of its jobs."""

    def cases(self, scale: Scale) -> list[Case]: ...

    async def drive(self, case: Case, places: Places) -> Measurement: ...


_IN_ORDER: Sequence[tuple[str, Workload]] = [
    ("fan_out", fan_out),
    ("light", light),
    ("rooms", rooms),
    ("mutations", mutations),
    ("mixed", mixed),
    ("streaming", streaming),
    ("external", external),
    ("storm", storm),
    ("idle", idle),
    ("invalidation", invalidation),
]
WORKLOADS: dict[str, Workload] = dict(_IN_ORDER)
