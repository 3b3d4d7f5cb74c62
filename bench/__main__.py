"""`python -m bench`: one run of the comparison, with a progress bar, and the page it writes. Called by `make bench`."""

from __future__ import annotations

import argparse
import asyncio
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from bench import report, runner, servers
from bench.jobs import Case, Scale
from bench.plots import draw
from bench.workloads import WORKLOADS

CHATS: dict[Scale, int] = {"tiny": 1_000, "quick": 2_000, "full": 10_000}


def main() -> None:
    asked = _arguments()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # servers inherit it: thousands of sockets
    findings, run = asyncio.run(_run(asked.scale, asked.workloads or list(WORKLOADS), asked.note))
    page: Path = asked.page
    page.parent.mkdir(parents=True, exist_ok=True)
    plots = draw(findings, page.with_suffix(""))
    page.write_text(report.page(findings, run, plots, page))
    Console(stderr=True).print(f"written: {page}")
    for case, reason in findings.failures.items():
        Console(stderr=True).print(f"failed: {case.workload}, {case.contender}, {case.label}: {reason}", markup=False)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("workloads", nargs="*", choices=[[], *WORKLOADS], help="only these")
    parser.add_argument("--scale", choices=list(CHATS), default="full", help="full takes about 12 minutes, quick 2")
    parser.add_argument("--page", type=Path, default=servers.REPOSITORY / "docs" / "benchmarks.md", help="where to write")
    parser.add_argument("--note", default="", help="a remark at the top of the page")
    return parser.parse_args()


async def _run(scale: Scale, workloads: list[str], note: str) -> tuple[runner.Findings, report.Run]:
    started = time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with tempfile.TemporaryDirectory(prefix="hub-bench-") as folder, Progress(*columns, console=Console(stderr=True)) as bar:
        starting = bar.add_task("starting the servers", total=None)
        async with servers.running(Path(folder), chats=CHATS[scale]) as running:
            bar.remove_task(starting)
            jobs = runner.plan(scale, workloads, has_peer=running.peer is not None)
            findings = await runner.run(jobs, running, _shown_on(bar, len(jobs)))
            problem, version = running.peer_problem, running.mongod_version
    return findings, report.Run(scale, (time.monotonic() - started) / 60, version, problem, note)


def _shown_on(bar: Progress, total: int) -> Callable[[Case], None]:
    task = bar.add_task("", total=total)
    begun = -1

    def show(case: Case) -> None:
        nonlocal begun
        begun += 1
        what = f"{WORKLOADS[case.workload].TITLE}: {report.NAMES[case.contender]}, {case.label}"
        bar.update(task, completed=begun, description=what)
        if not bar.console.is_terminal:
            bar.console.print(f"{begun + 1}/{total} {what}", markup=False)

    return show


if __name__ == "__main__":
    main()
