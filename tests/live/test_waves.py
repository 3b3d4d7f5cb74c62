"""Waves: all that is stale is evaluated at one head; a slow query delays itself; everything gets its turn."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from hub.live.waves import BOUNDS_S, Waves
from hub.timestamps import Timestamp

NEVER = float("inf")


def test_what_is_stale_together_is_evaluated_at_one_head() -> None:
    waves: Waves[str] = Waves()
    waves.want("a")
    waves.want("b")

    assert sorted(waves.start(Timestamp(7), now=0.0)) == [("a", 7), ("b", 7)]
    assert waves.heads_in_use == {7}


def test_the_next_wave_waits_for_this_one_and_has_the_newest_head() -> None:
    waves: Waves[str] = Waves()
    waves.want("a")
    waves.want("b")
    waves.start(Timestamp(1), now=0.0)
    waves.done("a", now=0.01)
    waves.want("a")
    assert waves.start(Timestamp(2), now=0.01) == []

    waves.done("b", now=0.02)

    assert waves.start(Timestamp(3), now=0.02) == [("a", 3)]


def test_a_slow_query_is_left_behind_and_its_head_stays_in_use() -> None:
    waves: Waves[str] = Waves()
    waves.want("slow")
    waves.want("quick")
    waves.start(Timestamp(1), now=0.0)
    waves.done("quick", now=0.01)
    waves.want("quick")
    assert waves.due() == BOUNDS_S[0]

    assert waves.start(Timestamp(2), now=BOUNDS_S[0]) == [("quick", 2)]
    assert waves.join("new", now=BOUNDS_S[0]) == 2
    assert waves.heads_in_use == {1, 2}

    waves.done("quick", now=BOUNDS_S[0])
    assert waves.heads_in_use == {1, 2}, "the new one still runs there"
    waves.done("new", now=BOUNDS_S[0])
    assert waves.heads_in_use == {1}
    waves.done("slow", now=BOUNDS_S[0])
    assert waves.heads_in_use == set()


def test_a_slower_tier_starts_together_with_the_faster_ones() -> None:
    waves: Waves[str] = Waves()
    waves.want("slow")
    waves.start(Timestamp(1), now=0.0)
    waves.done("slow", now=BOUNDS_S[0] * 2)
    waves.want("quick")
    waves.start(Timestamp(2), now=1.0)
    waves.want("slow")
    assert waves.start(Timestamp(3), now=1.01) == [], "a fast wave is under way"

    waves.done("quick", now=1.02)
    waves.want("quick")

    assert sorted(waves.start(Timestamp(4), now=1.02)) == [("quick", 4), ("slow", 4)]


def test_a_new_query_joins_the_fast_wave_that_is_under_way() -> None:
    waves: Waves[str] = Waves()
    assert waves.join("new", now=0.0) is None
    waves.want("a")
    waves.start(Timestamp(5), now=0.0)

    assert waves.join("new", now=0.01) == 5
    assert waves.join("late", now=BOUNDS_S[0]) is None


def test_nothing_is_left_of_a_query_that_nobody_wants() -> None:
    waves: Waves[str] = Waves()
    waves.want("waiting")
    waves.forget("waiting")

    assert len(waves) == 0
    assert waves.start(Timestamp(1), now=0.0) == []


@dataclass
class Simulated:
    """Queries that are stale again as soon as they are done; each takes as long as it takes."""

    durations: dict[str, float]
    now: float = 0.0
    waves: Waves[str] = field(default_factory=Waves)
    ends: dict[str, float] = field(default_factory=dict)
    heads: dict[str, Timestamp] = field(default_factory=dict)
    evaluated: dict[str, set[Timestamp]] = field(default_factory=dict)

    def run(self, until: float) -> None:
        for query in self.durations:
            self.evaluated[query] = set()
            self.waves.want(query)
        while self.now < until:
            for query, at in self.waves.start(Timestamp(int(self.now * 1000)), self.now):
                self.ends[query] = self.now + self.durations[query]
                self.heads[query] = at
            due = self.waves.due()
            self.now = min([*self.ends.values(), due if due is not None else NEVER])
            for query in [query for query, end in self.ends.items() if end <= self.now]:
                del self.ends[query]
                self.evaluated[query].add(self.heads[query])
                self.waves.done(query, self.now)
                self.waves.want(query)


@given(st.dictionaries(st.sampled_from("abcdef"), st.sampled_from([0.001, 0.01, 0.04, 0.1, 0.3, 0.7, 1.5]), min_size=2))
def test_queries_that_every_commit_touches_have_heads_in_common_again_and_again(durations: dict[str, float]) -> None:
    world = Simulated(durations)
    world.run(until=30 * max(durations.values()))

    common = set.intersection(*world.evaluated.values())

    assert len(common) >= 2
    for query, duration in durations.items():
        assert len(world.evaluated[query]) >= world.now / (10 * duration + 1), "it had its turns"
