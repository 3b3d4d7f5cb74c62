"""Outcomes: was a transaction committed that the server knows nothing of (any more)? Called by `hub.mongo.transactions`.

"No such transaction" as the answer to a repeated commit may mean that it never happened, or that it happened and the server has
forgotten its session since. Every transaction moves a clock row by one and leaves its batch's name there, so the row tells; where
others have moved it on, the change feed tells. Invariant: a batch is never called lost unless that is proven.
"""

from __future__ import annotations

from dataclasses import dataclass

from hub.errors import Conflict
from hub.mongo.batches import OwnBatches
from hub.mongo.driver import At, Document, Link, from_bson
from hub.mongo.names import CLOCKS, hub_clock
from hub.store import CLOCK, WriteBatch
from hub.timestamps import Timestamp


@dataclass(slots=True)
class Sent:
    """A transaction opened at `at`, whose commit may have been sent. `over_at`: by this time the server had no such transaction,
    so that it cannot be committed later than that."""

    batch: WriteBatch
    at: Timestamp
    over_at: Timestamp | None = None


class Undecided(Exception):
    """Nothing proves yet that it was committed, or that it was not."""


def clock_of(batch: WriteBatch, hub_id: str) -> str:
    """Id of the clock row that the batch moves."""
    return CLOCK if batch.isolation == "serializable" else hub_clock(hub_id)


class Outcomes:
    def __init__(self, link: Link, own: OwnBatches, hub_id: str) -> None:
        self._link = link
        self._own = own
        self._hub_id = hub_id

    async def tell(self, sent: Sent) -> Timestamp:
        """An upper bound of the commit's timestamp. To be asked when the server has no such transaction in progress.

        Raises Conflict if nothing of it was written, Undecided, and what the driver raises.
        """
        clock = clock_of(sent.batch, self._hub_id)
        number, by, now = await self._newest(clock)
        if by == sent.batch.id:
            return now
        sent.over_at = sent.over_at or now
        if self._own.is_missing(sent.batch.id, sent.over_at) or number <= await self._number_at(clock, sent.at) + 1:
            # The feed has passed it by; or the one move that it would have made is still to be made, or was made by somebody else.
            raise Conflict("the transaction was ended before its commit; run again at a newer position")
        raise Undecided(f"clock {clock} was moved on by others")

    async def _newest(self, clock: str) -> tuple[int, str | None, Timestamp]:
        """Linearizable, so that a commit which has not reached the majority yet is waited for instead of overlooked."""
        reply = await self._link.command(
            {
                "find": CLOCKS,
                "filter": {"_id": clock},
                "limit": 1,
                "singleBatch": True,
                "readConcern": {"level": "linearizable"},
            }
        )
        row: Document = next(iter(reply["cursor"]["firstBatch"]), {})
        return int(row.get("n", 0)), row.get("by"), from_bson(reply["operationTime"])

    async def _number_at(self, clock: str, at: Timestamp) -> int:
        rows = await self._link.find(CLOCKS, {"_id": clock}, concern=At(at))
        return int(rows[0]["n"]) if rows else 0  # type: ignore[arg-type]  # a clock row's number
