"""The feed's position, and the proof that a hub is current."""

from __future__ import annotations

import asyncio
import time

import pytest

from hub.clock import SystemClock
from hub.errors import NotCaughtUp
from hub.live.position import FeedPosition
from hub.store import FeedBatch
from hub.timestamps import Timestamp


def later(seconds: float = 5.0) -> float:
    return time.monotonic() + seconds


async def test_whoever_waits_for_a_timestamp_goes_on_when_the_feed_has_reached_it() -> None:
    position = FeedPosition(SystemClock())
    waiting = {ts: asyncio.create_task(position.reach(Timestamp(ts), later())) for ts in (5, 3, 9)}
    await asyncio.sleep(0)

    position.advance(FeedBatch(Timestamp(5)))
    await asyncio.gather(waiting[3], waiting[5])

    assert not waiting[9].done()
    position.advance(FeedBatch(Timestamp(9)))
    await waiting[9]


async def test_the_position_never_goes_back() -> None:
    position = FeedPosition(SystemClock())
    position.advance(FeedBatch(Timestamp(9), clocks={"serializable": 4}))
    position.advance(FeedBatch(Timestamp(7), clocks={"serializable": 2}))

    assert (position.ts, position.clocks) == (9, {"serializable": 4})


async def test_waiting_ends_at_the_deadline_with_an_error_that_says_so() -> None:
    position = FeedPosition(SystemClock())

    with pytest.raises(NotCaughtUp):
        await position.reach(Timestamp(1), later(0.0))
    with pytest.raises(NotCaughtUp):
        await position.reach_clocks({"serializable": 1}, later(0.0))


async def test_a_hub_has_seen_a_commit_when_every_clock_row_has_come_to_its_number() -> None:
    position = FeedPosition(SystemClock())
    waiting = asyncio.create_task(position.reach_clocks({"serializable": 2, "hub:a": 1}, later()))
    position.advance(FeedBatch(Timestamp(1), clocks={"serializable": 2}))
    await asyncio.sleep(0)
    assert not waiting.done()

    position.advance(FeedBatch(Timestamp(2), clocks={"hub:a": 1}))

    await waiting


async def test_after_a_resync_the_numbers_of_before_prove_nothing() -> None:
    position = FeedPosition(SystemClock())
    position.advance(FeedBatch(Timestamp(1), clocks={"serializable": 5000}))

    position.advance(FeedBatch(Timestamp(2), resync=True, clocks={"serializable": 1}))

    assert not position.has_seen({"serializable": 2})


async def test_nothing_is_left_of_a_wait_that_timed_out() -> None:
    position = FeedPosition(SystemClock())
    for _ in range(3):
        with pytest.raises(NotCaughtUp):
            await position.reach(Timestamp(1), later(0.0))

    assert not position.waiting
