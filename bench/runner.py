"""Runs every job in its turn, round by round, so that the contenders of a case are measured next to each other."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from bench.jobs import Case, Measurement, Scale, read_measurement, write_job
from bench.servers import REPOSITORY, Servers, Unavailable
from bench.workloads import WORKLOADS

JOB_S = 180.0
ROUNDS: dict[Scale, int] = {"tiny": 1, "quick": 2, "full": 3}
FEWER: dict[Scale, dict[str, int]] = {
    "tiny": {},
    "quick": dict.fromkeys(("light", "mixed", "storm", "idle", "invalidation", "streaming"), 1),
    "full": {"storm": 2, "external": 2, "light": 2, "mixed": 1, "idle": 1, "invalidation": 1, "streaming": 1},
}
"""Rounds of workloads that take long, or hardly vary."""


@dataclass(slots=True)
class Findings:
    """All measurements of a run; one for each round, in order."""

    measured: dict[Case, list[Measurement]] = field(default_factory=dict)
    failures: dict[Case, str] = field(default_factory=dict)

    def rounds(self, case: Case) -> list[Measurement]:
        return self.measured.get(case, [])


def plan(scale: Scale, workloads: Sequence[str], *, has_peer: bool) -> list[Case]:
    """The jobs of a run, in order: all cases once in each round, every second round backwards, so that nobody is always first."""
    return list(_planned(scale, workloads, has_peer=has_peer))


def _planned(scale: Scale, workloads: Sequence[str], *, has_peer: bool) -> Iterator[Case]:
    for name in workloads:
        cases = [one for one in WORKLOADS[name].cases(scale) if has_peer or one.contender != "peer"]
        rounds = FEWER[scale].get(name, ROUNDS[scale])
        for turn in range(rounds):
            yield from cases if turn % 2 == 0 else reversed(cases)


async def run(jobs: Sequence[Case], servers: Servers, progress: Callable[[Case], None]) -> Findings:
    """A job that fails is noted, and the others go on. What one workload leaves in memory is not measured with the next."""
    findings = Findings()
    workload = ""
    for case in jobs:
        progress(case)
        if case.workload != workload:
            workload = case.workload
            await servers.restart_all()
        elif WORKLOADS[case.workload].FRESH:
            await servers.restart(case.contender)
        try:
            measurement = await _measure(case, servers)
        except Unavailable as error:
            findings.failures[case] = str(error)
        else:
            findings.measured.setdefault(case, []).append(measurement)
    return findings


async def _measure(case: Case, servers: Servers) -> Measurement:
    """In a process of its own. Raises Unavailable with that process's last words."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.load", write_job(case, servers.places)),
        cwd=REPOSITORY,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(JOB_S):
            output, errors = await process.communicate()
    except TimeoutError:
        raise Unavailable(f"not done within {JOB_S:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise Unavailable(errors.decode(errors="replace").strip()[-600:])
    return read_measurement(output.decode())
