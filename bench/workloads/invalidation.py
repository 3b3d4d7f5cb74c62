"""Invalidation alone, inside one process: which live queries does a change concern, among so many?"""

from __future__ import annotations

import asyncio
import random
import time

from bench.jobs import Case, Measurement, Places, Scale, case
from bench.measuring import Meter
from hub.core.commits import RowChange
from hub.core.invalidation import InvalidationIndex
from hub.core.ranges import Bound, IndexKey, IndexRange
from hub.core.readset import ReadSet
from hub.values import Row

TITLE = "Invalidation alone"
TEXT = (
    "No server: an index with so many registered ranges is asked which of them a changed row concerns. Ranges are whole chats, "
    "or pages of one chat. Every answer names exactly one. An operation is one change; latency is its time, in milliseconds "
    "like everywhere else."
)
OPERATION = "change"
FRESH = False
BY_CHAT = IndexKey("messages", ("chatId", "createdAt", "_id"))
ROWS_ON_A_PAGE = 20
CHANGES = 20_000


def cases(scale: Scale) -> list[Case]:
    sizes = {"tiny": [1_000, 10_000], "quick": [1_000, 100_000], "full": [1_000, 100_000, 1_000_000]}[scale]
    pages = 1_000 if scale == "tiny" else 10_000
    return [
        *(case("invalidation", "in process", ranges=size, kind="chats") for size in sizes),
        case("invalidation", "in process", ranges=pages, kind="pages of one chat"),
    ]


async def drive(case: Case, places: Places) -> Measurement:
    count, is_pages = case.count("ranges"), case.text("kind") != "chats"
    index: InvalidationIndex[int] = InvalidationIndex()
    for n in range(count):
        index.watch(n, ReadSet(ranges=[_page(n) if is_pages else IndexRange(BY_CHAT, (f"chat{n}",))]))
        if n % 10_000 == 0:
            await asyncio.sleep(0)
    rng = random.Random(1)
    changes = [_change_on_page(rng.randrange(count)) if is_pages else _change_in_chat(rng.randrange(count)) for _ in range(CHANGES)]
    for change in changes[:100]:
        assert len(index.invalidate(change)) == 1
    times_ms: list[float] = []
    meter = Meter(places, None)
    for change in changes:
        started = time.perf_counter()
        index.invalidate(change)
        times_ms.append((time.perf_counter() - started) * 1000)
    return meter.read(len(changes), times_ms)


def _page(n: int) -> IndexRange:
    """`(first, last]`, as pagination reads it."""
    lower = Bound((float(n * ROWS_ON_A_PAGE),), inclusive=False)
    upper = Bound((float((n + 1) * ROWS_ON_A_PAGE),), inclusive=True)
    return IndexRange(BY_CHAT, ("chat",), lower, upper)


def _change_on_page(n: int) -> RowChange:
    row_id = f"m{n}"
    row: Row = {"_id": row_id, "chatId": "chat", "createdAt": float(n * ROWS_ON_A_PAGE + ROWS_ON_A_PAGE // 2), "content": "hello"}
    return RowChange("messages", row_id, "insert", row)


def _change_in_chat(n: int) -> RowChange:
    row_id = f"m{n}"
    return RowChange("messages", row_id, "insert", {"_id": row_id, "chatId": f"chat{n}", "createdAt": 1.0, "content": "hello"})
