"""What a list of numbers says: percentiles, medians of rounds, ratios of rounds that belong together. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Latency:
    p50_ms: float
    p95_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Ratio:
    """The median over the rounds, and the least and the greatest of them: how far the machine can be believed."""

    median: float
    low: float
    high: float


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of them lie (0 to 1), interpolated between neighbours. Raises ValueError if there is none."""
    if not values:
        raise ValueError("a percentile of nothing")
    if not 0 <= share <= 1:
        raise ValueError(f"{share} is not between 0 and 1")
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def median(values: Sequence[float]) -> float:
    return percentile(values, 0.5)


def latency(values_ms: Sequence[float]) -> Latency:
    return Latency(percentile(values_ms, 0.5), percentile(values_ms, 0.95), percentile(values_ms, 0.99))


def ratio(measured: Sequence[float], base: Sequence[float]) -> Ratio:
    """Round by round, each against its neighbour in time: a slow minute of the machine slows both sides of a round.

    Raises ValueError if the rounds do not pair up, or a base is not positive.
    """
    if len(measured) != len(base) or not measured:
        raise ValueError(f"{len(measured)} rounds against {len(base)}")
    if min(base) <= 0:
        raise ValueError("a ratio to nothing")
    ratios = [one / other for one, other in zip(measured, base, strict=True)]
    return Ratio(median(ratios), min(ratios), max(ratios))


def thinned(values: Sequence[float], most: int) -> list[float]:
    """At most `most` of the values, evenly spread over their order, the extremes among them: percentiles stay what they were."""
    if most < 2:
        raise ValueError("the extremes are two")
    ordered = sorted(values)
    if len(ordered) <= most:
        return ordered
    return [ordered[round(i * (len(ordered) - 1) / (most - 1))] for i in range(most)]
