"""Jobs and measurements: what the runner tells the load generator, and what it hears back. Plain data, JSON both ways."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Scale: TypeAlias = Literal["tiny", "quick", "full"]
"""How much is measured: `tiny` only proves that a workload works."""

Param: TypeAlias = int | float | str
Contender: TypeAlias = Literal["hub", "hub native", "hub http", "bare", "bare loop", "peer", "cold", "warm", "in process"]


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to measure: a workload, who is measured, and how much of it."""

    workload: str
    contender: Contender
    params: tuple[tuple[str, Param], ...]

    @property
    def label(self) -> str:
        """The parameters that a reader of the table wants to know."""
        return ", ".join(f"{name} {value:,}" if isinstance(value, int) else f"{name} {value}" for name, value in self.shown)

    @property
    def shown(self) -> tuple[tuple[str, Param], ...]:
        return tuple((name, value) for name, value in self.params if name not in HIDDEN)

    def number(self, name: str) -> float:
        value = dict(self.params)[name]
        assert not isinstance(value, str), name
        return float(value)

    def count(self, name: str) -> int:
        return int(self.number(name))

    def text(self, name: str) -> str:
        return str(dict(self.params)[name])


HIDDEN = {"seconds"}


def case(workload: str, contender: Contender, **params: Param) -> Case:
    return Case(workload, contender, tuple((name.replace("_", " "), value) for name, value in params.items()))


@dataclass(frozen=True, slots=True)
class Places:
    """Where everything is: the addresses of the servers, and the processes whose CPU is counted. None: not running."""

    mongo_url: str
    hub_url: str
    bare_url: str
    peer_url: str | None
    service_key: str
    mongod_pid: int
    hub_pid: int
    bare_pid: int
    peer_pid: int | None


@dataclass(slots=True)
class Measurement:
    """What one job found. CPU is that of whole processes, in seconds, over the measured time alone."""

    operations: int
    wall_s: float
    server_cpu_s: float
    database_cpu_s: float
    load_cpu_s: float
    latencies_ms: list[float] = field(default_factory=list)
    memory_bytes: int = 0
    figures: dict[str, float] = field(default_factory=dict)
    """What else a workload counts, by name with unit."""

    @property
    def rate(self) -> float:
        return self.operations / self.wall_s

    @property
    def server_us(self) -> float:
        """Server CPU for one operation."""
        return self.server_cpu_s / max(1, self.operations) * 1e6

    @property
    def database_us(self) -> float:
        return self.database_cpu_s / max(1, self.operations) * 1e6

    @property
    def load_share(self) -> float:
        """Share of one core that the load generator needed; near 1 it was the bottleneck."""
        return self.load_cpu_s / self.wall_s


def write_job(one: Case, places: Places) -> str:
    return json.dumps({"case": dataclasses.asdict(one), "places": dataclasses.asdict(places)})


def read_job(text: str) -> tuple[Case, Places]:
    job = json.loads(text)
    found = job["case"]
    params = tuple((name, value) for name, value in found["params"])
    return Case(found["workload"], found["contender"], params), Places(**job["places"])


def write_measurement(measurement: Measurement) -> str:
    return json.dumps(dataclasses.asdict(measurement))


def read_measurement(text: str) -> Measurement:
    return Measurement(**json.loads(text))
