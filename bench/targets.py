"""The figures that count: ratios and CPU per operation, each with what it should be. Pure: findings in, rows of a table out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from bench.jobs import Case, Contender, Measurement, Param
from bench.runner import Findings
from bench.statistics import Ratio, median, percentile, ratio

CONTENDERS: tuple[Contender, Contender] = ("hub", "bare")
NO_GOAL = "none"
Value: TypeAlias = Callable[[Measurement], float]


@dataclass(frozen=True, slots=True)
class Figure:
    """One row. `found` is None if what it needs was not measured in this run."""

    name: str
    goal: str
    found: Ratio | None
    is_met: bool
    unit: str = "×"

    @property
    def shown(self) -> str:
        if self.found is None:
            return "not measured"
        return f"{_short(self.found.median)} {self.unit} ({_short(self.found.low)} to {_short(self.found.high)})"

    @property
    def verdict(self) -> str:
        return "–" if self.found is None or self.goal == NO_GOAL else ("yes" if self.is_met else "**no**")


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def server_us(one: Measurement) -> float:
    return one.server_us


def whole_us(one: Measurement) -> float:
    """Server and database together."""
    return one.server_us + one.database_us


def rate(one: Measurement) -> float:
    return one.rate


def p50_ms(one: Measurement) -> float:
    return median(one.latencies_ms)


def figure_of(name: str) -> Value:
    return lambda one: one.figures[name]


def figures(findings: Findings) -> list[Figure]:
    return _pushing(findings) + _writing(findings) + _streaming(findings) + _sockets(findings)


# --- one row each ---------------------------------------------------------------------------------------------------


def _pushing(findings: Findings) -> list[Figure]:
    most = _greatest(findings, "fan_out", "subscribers", at_most=1_000)
    least_rooms, most_rooms = _least(findings, "rooms", "live queries"), _greatest(findings, "rooms", "live queries")
    fewest, most_ranges = _least(findings, "invalidation", "ranges"), _greatest(findings, "invalidation", "ranges")
    hub = _rounds(findings, "fan_out", "hub", subscribers=most)
    rooms = [_rounds(findings, "rooms", "hub", live_queries=n) for n in (most_rooms, least_rooms)]
    chats = [_rounds(findings, "invalidation", "in process", ranges=n, kind="chats") for n in (most_ranges, fewest)]
    pages = _rounds(findings, "invalidation", "in process", kind="pages of one chat")
    delivery = f"fan-out to {most:,.0f}, server CPU per delivery"
    return [
        _at_most(
            f"{delivery}, against a bare broadcast", 0.9, server_us, hub, _rounds(findings, "fan_out", "bare", subscribers=most)
        ),
        _at_most(f"{delivery}, against the peer", 0.5, server_us, hub, _rounds(findings, "fan_out", "peer", subscribers=most)),
        _at_most(
            f"{delivery}, native format against the stock one",
            1.0,
            server_us,
            _rounds(findings, "fan_out", "hub native", subscribers=most),
            hub,
        ),
        _further(findings, most),
        _at_most(f"server CPU per commit, {most_rooms:,.0f} against {least_rooms:,.0f} live queries", 1.15, server_us, *rooms),
        _at_most(f"invalidation alone, {most_ranges:,.0f} ranges against {fewest:,.0f}", 5, p50_ms, *chats),
        _alone(f"invalidation alone, {most_ranges:,.0f} ranges", 10, "µs", lambda one: p50_ms(one) * 1000, chats[0]),
        _alone("invalidation alone, pages of one chat", 10, "µs", lambda one: p50_ms(one) * 1000, pages),
        _at_most(
            "message → other client, p50, light load, against bare insert → change stream → socket",
            1.5,
            p50_ms,
            _rounds(findings, "light", "hub"),
            _rounds(findings, "light", "bare"),
        ),
        _own_transition(findings),
        _alone(
            "reads of the database for each commit shown, nobody else reading",
            0,
            "finds",
            figure_of("finds for each commit shown"),
            _rounds(findings, "external", "hub", collection="watched"),
        ),
    ]


def _writing(findings: Findings) -> list[Figure]:
    n = _greatest(findings, "mutations", "in flight", at_most=32)
    hub = _rounds(findings, "mutations", "hub", in_flight=n, chats="many")
    loop = _rounds(findings, "mutations", "bare loop", in_flight=n, chats="many")
    by_http = _rounds(findings, "mutations", "hub http", in_flight=n, chats="many")
    peer = _rounds(findings, "mutations", "peer", in_flight=n, chats="many")
    lone = [_rounds(findings, "mutations", who, in_flight=1, chats="many") for who in ("hub", "bare loop")]
    one_row = _rounds(findings, "mutations", "hub", in_flight=n, chats="one")
    one_by_one = _rounds(findings, "mutations", "bare loop", in_flight=1, chats="one")
    return [
        _at_least(f"`messages:send`, {n:.0f} in flight over WebSockets, rate against the bare loop", 3, rate, hub, loop),
        _at_most("the same, CPU of hub and mongod together per call against the bare loop's", 0.35, whole_us, hub, loop),
        _at_least(f"{n:.0f} in flight over HTTP, rate against the peer's plain insert", 1.5, rate, by_http, peer),
        _at_most("a lone `messages:send`, p50 to its acknowledgement, against the bare transaction", 1.3, p50_ms, *lone),
        _at_least(f"all to one chat, {n:.0f} in flight, rate against the bare loop one by one", 3, rate, one_row, one_by_one),
    ]


def _streaming(findings: Findings) -> list[Figure]:
    wire = figure_of("KiB a viewer")
    stock = _rounds(findings, "streaming", "hub", client="stock", written_as="delta")
    deflate = _rounds(findings, "streaming", "hub", client="stock, deflate")
    native = _rounds(findings, "streaming", "hub", client="native")
    return [
        _at_most("a streamed reply, bytes to a viewer on the native format, against the stock client's", 0.05, wire, native, stock),
        _at_most("the same, against the stock client's with deflate", 0.5, wire, native, deflate),
        _alone("a streamed reply of single tokens, oplog for each", 2, "KiB", figure_of("KiB of oplog a token"), native),
    ]


def _sockets(findings: Findings) -> list[Figure]:
    memory = figure_of("KiB a socket")
    warm, accepted = _rounds(findings, "storm", "warm"), _rounds(findings, "storm", "bare")
    pairs = zip(warm, accepted, strict=True) if len(warm) == len(accepted) else ()
    above = [hub.server_us - bare.server_us for hub, bare in pairs]
    mixed = _rounds(findings, "mixed", "hub")
    idle = [_rounds(findings, "idle", who) for who in ("hub", "bare")]
    return [
        _at_most("memory of an idle socket with one live query, against a bare one", 1.5, memory, *idle),
        _limit("warm subscribe storm, server CPU per subscription above a bare accept", 150, "µs", above),
        _alone("mixed, p99 from sending to the other client", 50, "ms", lambda one: percentile(one.latencies_ms, 0.99), mixed),
        _alone("mixed, server CPU", 70, "% of a core", figure_of("% of a core"), mixed),
    ]


def _further(findings: Findings, most: float) -> Figure:
    """What one subscriber more costs: without the commit itself, which a broadcast does not have."""
    costs = {
        who: [
            (many.server_cpu_s / (many.operations / most) - one.server_cpu_s / one.operations) / (most - 1)
            for many, one in zip(
                _rounds(findings, "fan_out", who, subscribers=most), _rounds(findings, "fan_out", who, subscribers=1), strict=False
            )
        ]
        for who in CONTENDERS
        if most > 1
    }
    ours, base = (costs.get(who, []) for who in CONTENDERS)
    found = ratio(ours, base) if ours and len(ours) == len(base) and min(base) > 0 else None
    name = f"fan-out, server CPU per further subscriber, 1 to {most:,.0f}, the commit's own taken off, against a bare broadcast"
    return Figure(name, "≤ 0.9 ×", found, found is not None and found.median <= 0.9)


def _own_transition(findings: Findings) -> Figure:
    hub, bare = _rounds(findings, "light", "hub"), _rounds(findings, "light", "bare")
    values = [one.figures["ms to the own transition, p50"] for one in hub if "ms to the own transition, p50" in one.figures]
    found = ratio(values, [p50_ms(one) for one in bare]) if values and len(values) == len(bare) else None
    return Figure("message → the writer's own transition, p50, light load, against the same", NO_GOAL, found, is_met=True)


def _at_most(name: str, limit: float, value: Value, ours: list[Measurement], base: list[Measurement]) -> Figure:
    found = _ratio(value, ours, base)
    return Figure(name, f"≤ {limit:g} ×", found, found is not None and found.median <= limit)


def _at_least(name: str, limit: float, value: Value, ours: list[Measurement], base: list[Measurement]) -> Figure:
    found = _ratio(value, ours, base)
    return Figure(name, f"≥ {limit:g} ×", found, found is not None and found.median >= limit)


def _alone(name: str, limit: float, unit: str, value: Value, ours: list[Measurement]) -> Figure:
    return _limit(name, limit, unit, [value(one) for one in ours])


def _limit(name: str, limit: float, unit: str, values: Sequence[float]) -> Figure:
    found = Ratio(median(values), min(values), max(values)) if values else None
    return Figure(name, f"≤ {limit:g} {unit}", found, found is not None and found.median <= limit, unit)


def _ratio(value: Value, ours: list[Measurement], base: list[Measurement]) -> Ratio | None:
    """Rounds that failed on one side leave no pair."""
    if not ours or len(ours) != len(base):
        return None
    below = [value(one) for one in base]
    return ratio([value(one) for one in ours], below) if min(below) > 0 else None


# --- finding what was measured --------------------------------------------------------------------------------------


def _rounds(findings: Findings, workload: str, contender: Contender, **params: Param) -> list[Measurement]:
    wanted = {name.replace("_", " "): value for name, value in params.items()}
    for case, rounds in findings.measured.items():
        if (case.workload, case.contender) == (workload, contender) and wanted.items() <= dict(case.params).items():
            return rounds
    return []


def _numbers(findings: Findings, workload: str, name: str, at_most: float) -> list[float]:
    return [n for case in findings.measured if _has(case, workload, name) and (n := case.number(name)) <= at_most]


def _has(case: Case, workload: str, name: str) -> bool:
    return case.workload == workload and name in dict(case.params) and dict(case.params).get("kind", "chats") == "chats"


def _greatest(findings: Findings, workload: str, name: str, *, at_most: float = float("inf")) -> float:
    return max(_numbers(findings, workload, name, at_most), default=0)


def _least(findings: Findings, workload: str, name: str) -> float:
    return min(_numbers(findings, workload, name, float("inf")), default=0)
