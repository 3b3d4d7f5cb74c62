from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.commits import Commit, CommitLog
from hub.timestamps import Timestamp
from tests.builders import a_commit, deleted, inserted, updated_by_others

steps = st.lists(st.tuples(st.integers(1, 3), st.integers(0, 4)), max_size=60)
"""Commits: by how much the time moves, and how many rows change."""


def a_log(commits: int = 100, changes: int = 100, at: int = 0) -> CommitLog:
    return CommitLog(max_commits=commits, max_changes=changes, at=Timestamp(at))


def commits_of(steps: list[tuple[int, int]]) -> list[Commit]:
    ts, commits = 0, []
    for step, rows in steps:
        ts += step
        commits.append(a_commit(ts, *(deleted(f"m{n}") for n in range(rows))))
    return commits


@given(steps, st.integers(1, 10), st.integers(1, 10), st.integers(0, 200))
def test_replay_is_complete_or_refused(steps: list[tuple[int, int]], max_commits: int, max_changes: int, since: int) -> None:
    log, commits = a_log(max_commits, max_changes), commits_of(steps)
    for commit in commits:
        log.append(commit)
    replay = log.since(Timestamp(since))
    if since < log.floor:
        assert replay is None
    else:
        assert replay is not None
        assert list(replay) == [commit for commit in commits if commit.ts > since]


@given(steps, st.integers(1, 10), st.integers(1, 10))
def test_the_log_stays_within_its_bounds_but_for_the_newest_commit(
    steps: list[tuple[int, int]], max_commits: int, max_changes: int
) -> None:
    log = a_log(max_commits, max_changes)
    for commit in commits_of(steps):
        log.append(commit)
        kept = log.since(log.floor)
        assert kept is not None
        assert len(kept) == len(log) <= max_commits
        assert log.changes == sum(len(one.changes) for one in kept)
        assert log.changes <= max(max_changes, len(commit.changes))


@given(steps, st.integers(1, 10))
def test_whoever_keeps_up_misses_nothing(steps: list[tuple[int, int]], max_commits: int) -> None:
    log, seen = a_log(max_commits, changes=1), Timestamp(0)
    for commit in commits_of(steps):
        log.append(commit)
        assert log.since(seen) == [commit]
        seen = log.position


def test_a_new_log_knows_nothing_of_what_was_before_it() -> None:
    log = a_log(at=10)
    assert log.position == log.floor == 10
    assert log.since(Timestamp(9)) is None
    assert log.since(Timestamp(10)) == []


def test_advancing_moves_the_position_and_nothing_else() -> None:
    log = a_log()
    log.append(a_commit(3, inserted({"_id": "m1"})))
    log.advance(Timestamp(8))
    assert (log.position, log.floor, len(log)) == (8, 0, 1)
    assert log.since(Timestamp(5)) == []


def test_after_a_reset_only_what_comes_next_can_be_replayed() -> None:
    log = a_log()
    log.append(a_commit(3, updated_by_others("m1")))
    log.reset(Timestamp(20))
    assert log.since(Timestamp(3)) is None
    assert (len(log), log.changes) == (0, 0)
    log.append(a_commit(21))
    assert log.since(Timestamp(20)) == [a_commit(21)]


@pytest.mark.parametrize("ts", [4, 5])
def test_a_commit_at_or_before_the_position_is_a_bug_of_the_feed(ts: int) -> None:
    log = a_log(at=5)
    with pytest.raises(AssertionError):
        log.append(a_commit(ts))


def test_the_position_never_goes_back() -> None:
    with pytest.raises(AssertionError):
        a_log(at=5).advance(Timestamp(4))
