"""The queue in front of the sequencer: in order within a session, fair between sessions, bounded."""

from __future__ import annotations

import asyncio

import pytest

from hub.errors import TooManyConcurrentRequests
from hub.functions.identity import NOBODY
from hub.live.mutations import MutationQueue, MutationRequest


def a_request(source: str, name: str) -> MutationRequest:
    return MutationRequest(path=name, args={}, caller=NOBODY, source=source, arrived=0.0, deadline=1.0, reply=lambda answer: None)


async def test_a_session_with_many_waiting_delays_another_by_one() -> None:
    queue = MutationQueue(max_waiting=10)
    for name in ("a1", "a2", "a3"):
        queue.put(a_request("a", name))
    queue.put(a_request("b", "b1"))

    assert [(await queue.take()).path for _ in range(4)] == ["a1", "b1", "a2", "a3"]
    assert len(queue) == 0


async def test_a_full_queue_refuses_by_a_name_that_clients_know() -> None:
    queue = MutationQueue(max_waiting=1)
    queue.put(a_request("a", "a1"))

    with pytest.raises(TooManyConcurrentRequests, match=r"^TooManyConcurrentRequests"):
        queue.put(a_request("b", "b1"))


async def test_whoever_takes_from_an_empty_queue_waits_for_the_next_request() -> None:
    queue = MutationQueue(max_waiting=1)
    taking = asyncio.create_task(queue.take())
    await asyncio.sleep(0)
    assert not taking.done()

    queue.put(a_request("a", "a1"))

    assert (await taking).path == "a1"
