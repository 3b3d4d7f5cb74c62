"""Serializable: histories of mutations that several hubs ran at the same time have a serial order."""

from __future__ import annotations

import asyncio
import json
import random

import pytest

from hub.functions.identity import SERVICE
from hub.protocol.messages import Success
from hub.values import Value
from tests.live.conftest import OpenHub
from tests.live.harness import LiveHub
from tests.live.histories import Appended, problem

SERIAL = [
    Appended("a1", "x", {"x": [], "y": []}),
    Appended("b1", "y", {"x": ["a1"]}),
    Appended("a2", "x", {"y": ["b1"]}),
    Appended("r", None, {"x": ["a1", "a2"], "y": ["b1"]}),
]


def test_a_serial_history_has_no_problem() -> None:
    assert problem(SERIAL, {"x": ["a1", "a2"], "y": ["b1"]}) is None


@pytest.mark.parametrize(
    ("history", "final", "says"),
    [
        pytest.param(
            [Appended("a", "x", {"y": []}), Appended("b", "y", {"x": []})],
            {"x": ["a"], "y": ["b"]},
            "no order",
            id="write skew",
        ),
        pytest.param(
            [
                Appended("a", "x", {}),
                Appended("b", "y", {}),
                Appended("r", None, {"x": ["a"], "y": []}),
                Appended("s", None, {"x": [], "y": ["b"]}),
            ],
            {"x": ["a"], "y": ["b"]},
            "no order",
            id="two readers see two writes in different orders",
        ),
        pytest.param(
            [Appended("a", "x", {"x": []}), Appended("b", "x", {"x": []})],
            {"x": ["a", "b"]},
            "no order",
            id="lost update",
        ),
        pytest.param(
            [Appended("a", "x", {"y": ["b"]}), Appended("b", "y", {"x": ["a"]})],
            {"x": ["a"], "y": ["b"]},
            "no order",
            id="each saw the other",
        ),
        pytest.param(
            [Appended("a", "x", {}), Appended("b", "y", {"x": ["a"]}), Appended("c", "z", {"y": ["b"], "x": []})],
            {"x": ["a"], "y": ["b"], "z": ["c"]},
            "no order",
            id="a cycle of three",
        ),
        pytest.param([Appended("a", "x", {"x": ["ghost"]})], {"x": ["a"]}, "never so", id="saw what was rolled back"),
        pytest.param([Appended("a", "x", {})], {"x": []}, "0 times", id="lost write"),
        pytest.param([Appended("a", "x", {})], {"x": ["a", "a"]}, "2 times", id="applied twice"),
        pytest.param([], {"x": ["a"]}, "nobody appended", id="a write of nobody"),
    ],
)
def test_what_cannot_be_explained_is_found(history: list[Appended], final: dict[str, list[str]], says: str) -> None:
    assert says in (problem(history, final) or "")


ROOMS = [f"list {n}" for n in range(4)]


async def append(hub: LiveHub, name: str, chance: random.Random) -> Appended:
    to, looked_at = chance.choice(ROOMS), chance.sample(ROOMS, chance.randint(0, 3))
    args: dict[str, Value] = {"room": to, "value": name, "lookAt": [*looked_at]}
    result, _ = await hub.engine.mutate("notes:append", args, SERVICE, key=name, body_key="", deadline=hub.deadline(60))
    assert isinstance(result, Success), result
    return Appended(name, to, dict(zip(looked_at, json.loads(result.value), strict=True)))


async def test_what_two_hubs_ran_at_the_same_time_has_a_serial_order(open_hub: OpenHub) -> None:
    chance = random.Random(7)  # the script is always the same; how it interleaves is not
    hubs = [await open_hub("hub-a"), await open_hub("hub-b")]

    async def client(hub: LiveHub, name: str) -> list[Appended]:
        return [await append(hub, f"{name}.{n}", chance) for n in range(6)]

    clients = [client(hub, f"{i}{letter}") for i, hub in enumerate(hubs) for letter in "abcdefgh"]
    history = [one for part in await asyncio.gather(*clients) for one in part]
    final = {}
    for room in ROOMS:
        result = await hubs[0].query("notes:between", room=room, low=0.0, high=1000.0)
        assert isinstance(result, Success)
        final[room] = [row["text"] for row in json.loads(result.value)]

    assert problem(history, final) is None
    transactions = sum(hub.engine.metrics.registry.get_sample_value("hub_batch_mutations_count") or 0 for hub in hubs)
    assert transactions < len(history), "they were committed in batches"
