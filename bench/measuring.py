"""Measuring other processes from outside: CPU to the nanosecond, memory, and what the database was asked."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

from bench.jobs import Measurement, Places
from bench.statistics import thinned

KEPT_LATENCIES = 2_000


def cpu_s(pid: int) -> float:
    """CPU time that all threads of a process have used. Linux: the process's own clock, `CPUCLOCK_SCHED` of `man 3 clock`."""
    return time.clock_gettime((~pid << 3) | 2)


def memory_bytes(pid: int) -> int:
    """Resident memory, each shared page counted in part for each that shares it."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"no Pss of {pid}")


class Meter:
    """From `Meter(...)` to `read(...)`: the measured time of one job."""

    def __init__(self, places: Places, server: int | None) -> None:
        """`server` None: the load generator is itself what is measured (the bare loop on the driver)."""
        self._load = os.getpid()
        self._server = self._load if server is None else server
        self._pids = (self._server, places.mongod_pid, self._load)
        self._at_start = self._clocks()
        self._started = time.perf_counter()

    def _clocks(self) -> tuple[float, ...]:
        return tuple(cpu_s(pid) for pid in self._pids)

    def read(self, operations: int, latencies_ms: Sequence[float] = (), **figures: float) -> Measurement:
        wall_s = time.perf_counter() - self._started
        server, database, load = (now - then for now, then in zip(self._clocks(), self._at_start, strict=True))
        return Measurement(
            operations=operations,
            wall_s=wall_s,
            server_cpu_s=server,
            database_cpu_s=database,
            load_cpu_s=load,
            latencies_ms=thinned(latencies_ms, KEPT_LATENCIES),
            memory_bytes=memory_bytes(self._server),
            figures=figures,
        )
