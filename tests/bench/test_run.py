"""Every workload runs, against servers that the benchmark itself starts. Small, and without the peer: it is installed from npm."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import report, runner, servers
from bench.jobs import Case
from bench.workloads import WORKLOADS
from hub.mongo.embedded import MongodBinary

CHATS = 1_000
"""As many as a tiny run has rooms for: a workload may take any of them."""


def some_cases() -> list[Case]:
    """The first of each workload, and the floors where no server has to be started again for them."""
    found: dict[tuple[str, str], Case] = {}
    for one in runner.plan("tiny", list(WORKLOADS), has_peer=False):
        is_floor = one.contender in ("bare", "bare loop")
        if not (is_floor and WORKLOADS[one.workload].FRESH):
            found.setdefault((one.workload, "floor" if is_floor else "hub"), one)
    return list(found.values())


@pytest.mark.real
@pytest.mark.timeout(180)
async def test_every_workload_measures_its_contenders(mongod_binary: MongodBinary, tmp_path: Path) -> None:
    jobs = some_cases()
    async with servers.running(tmp_path, chats=CHATS, with_peer=False) as running:
        findings = await runner.run(jobs, running, lambda case: None)

    assert findings.failures == {}
    assert list(findings.measured) == jobs
    for case in jobs:
        (measured,) = findings.rounds(case)
        assert measured.operations > 0, case
        assert measured.server_cpu_s > 0, case
    page = report.page(findings, report.Run("tiny", 1.0, "6", "left out", ""), {}, tmp_path / "page.md")
    assert all(f"## {workload.TITLE}" in page for workload in WORKLOADS.values())
