"""The plots of the page: how cost and latency grow with what there is more of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib

from bench.jobs import Measurement
from bench.report import NAMES
from bench.runner import Findings
from bench.statistics import median, percentile

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "hub"  # the same figures make the same file

import matplotlib.pyplot as plt  # noqa: E402  # after the choice of what draws
from matplotlib.ticker import FuncFormatter, LogLocator  # noqa: E402

Value = Callable[[Measurement], float]


@dataclass(frozen=True, slots=True)
class Plot:
    """One picture: panels side by side over one parameter of a workload."""

    workload: str
    over: str
    panels: Sequence[tuple[str, Value]]
    only: tuple[tuple[str, str], ...] = ()


def _p50(one: Measurement) -> float:
    return median(one.latencies_ms)


def _p99(one: Measurement) -> float:
    return percentile(one.latencies_ms, 0.99)


PLOTS = (
    Plot("fan_out", "subscribers", (("server CPU per delivery, µs", lambda one: one.server_us), ("latency p50, ms", _p50))),
    Plot("rooms", "live queries", (("server CPU per commit, µs", lambda one: one.server_us), ("latency p99, ms", _p99))),
    Plot(
        "mutations",
        "in flight",
        (
            ("calls per second", lambda one: one.rate),
            ("CPU of server and mongod per call, µs", lambda one: one.server_us + one.database_us),
            ("latency p50, ms", _p50),
        ),
        (("chats", "many"),),
    ),
    Plot("invalidation", "ranges", (("time of one change, µs", lambda one: _p50(one) * 1000),), (("kind", "chats"),)),
)


def draw(findings: Findings, folder: Path) -> dict[str, Path]:
    """One SVG for each plot of which something was measured, by workload."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {}
    for plot in PLOTS:
        series = _series(findings, plot)
        if series:
            drawn[plot.workload] = folder / f"{plot.workload}.svg"
            _draw(plot, series, drawn[plot.workload])
    return drawn


def _series(findings: Findings, plot: Plot) -> dict[str, list[tuple[float, list[Measurement]]]]:
    series: dict[str, list[tuple[float, list[Measurement]]]] = {}
    for case, rounds in findings.measured.items():
        params = dict(case.params)
        if case.workload == plot.workload and all(params.get(name) == value for name, value in plot.only):
            series.setdefault(NAMES[case.contender], []).append((case.number(plot.over), rounds))
    return {name: sorted(points, key=lambda point: point[0]) for name, points in series.items()}


def _draw(plot: Plot, series: dict[str, list[tuple[float, list[Measurement]]]], path: Path) -> None:
    count = len(plot.panels)
    plain = FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}")
    picture, axes = plt.subplots(1, count, figsize=(4.2 * count, 3.4), squeeze=False, layout="constrained")
    for axis, (title, value) in zip(axes[0], plot.panels, strict=True):
        for name, points in series.items():
            xs = [x for x, _ in points]
            axis.plot(xs, [median([value(one) for one in rounds]) for _, rounds in points], marker="o", label=name)
        axis.set(title=title, xlabel=plot.over, xscale="log", yscale="log")
        axis.set_xticks(sorted({x for points in series.values() for x, _ in points}))
        axis.minorticks_off()
        for scale in (axis.xaxis, axis.yaxis):
            scale.set_major_formatter(plain)
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.grid(visible=True, which="major", alpha=0.3)
    axes[0][0].legend()
    picture.savefig(path, metadata={"Date": None})
    plt.close(picture)
