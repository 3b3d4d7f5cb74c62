"""Writes the page: what was compared, on what, the figures that count, and a table for each workload."""

from __future__ import annotations

import os
import platform
import subprocess
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from bench.jobs import Case, Measurement, Scale
from bench.runner import FEWER, ROUNDS, Findings
from bench.servers import PEER, REPOSITORY
from bench.statistics import latency, median
from bench.targets import figures
from bench.workloads import WORKLOADS

NAMES = {
    "hub": "hub",
    "hub native": "hub, native format",
    "hub http": "hub, over HTTP",
    "bare": "bare",
    "bare loop": "bare loop",
    "peer": "peer",
    "cold": "hub, cold",
    "warm": "hub, warm",
    "in process": "hub",
}
PACKAGES = ("starlette", "uvicorn", "uvloop", "websockets", "pymongo", "pydantic")
WIDTH = 132
COMMANDS: dict[Scale, str] = {
    "tiny": "python -m bench --scale tiny",
    "quick": "make bench-quick",
    "full": "make bench",
}


@dataclass(frozen=True, slots=True)
class Run:
    """What the page says about how it came about."""

    scale: Scale
    minutes: float
    mongod_version: str
    peer_problem: str
    note: str


def page(findings: Findings, run: Run, plots: dict[str, Path], at: Path) -> str:
    return "\n".join(_lines(findings, run, plots, at)) + "\n"


def _lines(findings: Findings, run: Run, plots: dict[str, Path], at: Path) -> Iterator[str]:
    yield from (
        "# Benchmarks",
        "",
        f"Written by `{COMMANDS[run.scale]}`, which starts everything itself and measures every workload against the hub and,",
        "in the same run and in turns, against what anybody would have to pay (bare) and against Parse Server with LiveQuery",
        "on the same MongoDB (the peer). Believe the ratios and the CPU per operation. Times and rates are those of this machine",
        "on that day.",
        "",
    )
    if run.note:
        yield from (f"> **{run.note}**", "")
    if run.scale != "full":
        yield from ("> **A short run**: few rounds, small sizes. `make bench` fills this page.", "")
    yield from _machine(run)
    yield from _figures(findings)
    for name, workload in WORKLOADS.items():
        cases = [case for case in findings.measured if case.workload == name]
        if cases:
            yield from ("", f"## {workload.TITLE}", "", textwrap.fill(workload.TEXT, WIDTH), "")
            if name in plots:
                yield from (f"![{workload.TITLE}]({plots[name].relative_to(at.parent).as_posix()})", "")
            yield from _table(findings, cases, workload.OPERATION)
    if findings.failures:
        yield from ("", "## What failed in this run", "")
        for case, reason in findings.failures.items():
            last = reason.splitlines()[-1][:200].replace("`", "'") if reason else "?"
            yield f"- {WORKLOADS[case.workload].TITLE}, {NAMES[case.contender]}, {case.label}: {last}"


def _machine(run: Run) -> Iterator[str]:
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    if run.peer_problem:
        peer = f"left out of this run: {run.peer_problem.strip().splitlines()[-1][:200]}"
    else:
        peer = f"parse-server {_peer_version()} on Node {_output('node', '--version')}"
    yield from (
        "## How it was measured",
        "",
        f"- Machine: {_cpu()}, {os.cpu_count()} cores, {_memory_gib():.0f} GiB, Linux {platform.release().split('-')[0]}; "
        "database, server and load generator share it.",
        f"- Versions: commit {_output('git', 'rev-parse', '--short', 'HEAD')}, "
        f"Python {platform.python_version()} ({platform.python_compiler()}), {versions}, "
        f"MongoDB {run.mongod_version} (a replica set of one, 0.25 GB cache).",
        f"- Peer: {peer}.",
        f"- Rounds: {ROUNDS[run.scale]}, every second one backwards{_fewer(run.scale)}; "
        f"{run.minutes:.0f} minutes. A number is the median of the rounds, a ratio the median of each round's own ratio, "
        "with the least and the greatest. Each workload begins on servers that have just started.",
        "- CPU is that of whole processes by the kernel's clock, over the measured time alone. The load generator is a process of "
        "its own. Its share of a core stands beside each figure: near 100 % it was what was measured, and not the server.",
    )


def _fewer(scale: Scale) -> str:
    fewer = ", ".join(f"{WORKLOADS[name].TITLE} {rounds}" for name, rounds in FEWER[scale].items())
    return f" ({fewer})" if fewer else ""


def _figures(findings: Findings) -> Iterator[str]:
    yield from ("", "## The figures that count", "", "| figure | target | measured (rounds) | met |", "|---|---|---|---|")
    for figure in figures(findings):
        yield f"| {figure.name} | {figure.goal} | {figure.shown} | {figure.verdict} |"


def _table(findings: Findings, cases: list[Case], operation: str) -> Iterator[str]:
    names = list(dict.fromkeys(name for case in cases for one in findings.rounds(case) for name in one.figures))
    heads = ["", "", "a second", "p50 ms", "p95 ms", "p99 ms", "server µs", "mongod µs", "server MiB", "load", *names]
    yield "| " + " | ".join(heads) + " |"
    yield "|---|---|" + "--:|" * (len(heads) - 2)
    for case in cases:
        yield "| " + " | ".join([case.label, NAMES[case.contender], *_cells(findings.rounds(case), names)]) + " |"
    yield ""
    yield f"*a second: {operation}, each; µs: CPU for each; load: the load generator's share of a core.*"


def _cells(rounds: list[Measurement], names: list[str]) -> list[str]:
    latencies = [latency(one.latencies_ms) for one in rounds if one.latencies_ms]
    times = [[each.p50_ms for each in latencies], [each.p95_ms for each in latencies], [each.p99_ms for each in latencies]]
    return [
        _number(median([one.rate for one in rounds])),
        *(_number(median(values)) if values else "" for values in times),
        _number(median([one.server_us for one in rounds])),
        _number(median([one.database_us for one in rounds])),
        f"{median([one.memory_bytes for one in rounds]) / 2**20:.0f}",
        f"{median([one.load_share for one in rounds]) * 100:.0f} %",
        *(_figure(rounds, name) for name in names),
    ]


def _figure(rounds: list[Measurement], name: str) -> str:
    values = [one.figures[name] for one in rounds if name in one.figures]
    return _number(median(values)) if values else ""


def _number(value: float) -> str:
    """Three digits that mean something."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


# --- the machine ----------------------------------------------------------------------------------------------------


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return " ".join(line.partition(":")[2].split())
    return platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _peer_version() -> str:
    text = (PEER / "package.json").read_text()
    return text.partition('"parse-server": "')[2].partition('"')[0]


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"
