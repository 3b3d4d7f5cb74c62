"""Departure: a transaction on its way, and the answers that go out as soon as it is known to be committed.

Made by `hub.live.sequencer`. Whoever knows first releases it: the feed, which names the commit's timestamp, or the acknowledgement.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from hub.live.batch import Batch, Member
from hub.live.mutations import Answer
from hub.timestamps import Timestamp


@dataclass(slots=True, eq=False)
class Departure:
    """`bound` is set by the acknowledgement. `is_unnamed`: the feed lost its history, and may never name the timestamp. `decided`
    is set when all were answered, or it failed."""

    batch: Batch
    reply: Callable[[Member, Answer], None]
    ts: Timestamp | None = None
    bound: Timestamp | None = None
    is_unnamed: bool = False
    decided: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def members(self) -> list[Member]:
        return [done.member for done in self.batch.done]

    def release(self, ts: Timestamp) -> None:
        if self.ts is None:
            self.ts = ts
            for done in self.batch.done:
                self.reply(done.member, replace(done.answer, ts=ts))
            self.decided.set()
