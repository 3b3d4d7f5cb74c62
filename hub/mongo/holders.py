"""Holders: transactions that a dead hub left open, with the clock row in them. Called by `hub.mongo.transactions`.

MongoDB keeps such a transaction for a minute or more, and nobody else could write meanwhile. Ending one is always safe: a
holder that still lives gets "no such transaction" at its commit, nothing of it is written, and it runs again.
"""

from __future__ import annotations

import logging

from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern

from hub.clock import Clock
from hub.mongo import faults
from hub.mongo.driver import Link, Session, time_limit
from hub.mongo.names import CLOCKS
from hub.store import CLOCK

log = logging.getLogger(__name__)

PATIENCE_S = 1.0
"""A clock row that is taken and stands still for this long is held by somebody who does nothing."""
LOOK_TIMEOUT_S = 2.0


def app_name(database: str) -> str:
    """What sequencers' clients call themselves, so that their transactions can be told from an application's own."""
    return f"hub sequencer {database}"


class Holders:
    def __init__(self, link: Link, session: Session, clock: Clock) -> None:
        self._link = link
        self._session = session
        self._clock = clock
        self._taken_since: float | None = None
        self._stood_at: int | None = None

    def clock_is_free(self) -> None:
        self._taken_since = None

    async def clock_is_taken(self) -> None:
        """Somebody else has moved the clock row, or is about to: look closer if that goes on while nothing moves."""
        now = self._clock.monotonic()
        if self._taken_since is not None and now - self._taken_since < PATIENCE_S:
            return
        try:
            with time_limit(LOOK_TIMEOUT_S):
                stands_at = await self._clock_number()
                if self._taken_since is not None and stands_at == self._stood_at:
                    await self._end(PATIENCE_S)
        except PyMongoError as exc:
            log.warning("cannot look for abandoned transactions", extra={"error": faults.brief(exc)})
            return
        self._taken_since, self._stood_at = now, stands_at

    async def end_abandoned(self) -> int:
        """Before the first batch of a hub: its predecessor may have died a moment ago. Returns how many were ended."""
        try:
            with time_limit(LOOK_TIMEOUT_S):
                return await self._end(PATIENCE_S)
        except PyMongoError as exc:
            log.warning("cannot look for abandoned transactions", extra={"error": faults.brief(exc)})
            return 0

    async def _clock_number(self) -> int | None:
        rows = await self._link.find(CLOCKS, {"_id": CLOCK}, concern=ReadConcern("local"))
        return int(rows[0]["n"]) if rows else None  # type: ignore[arg-type]  # a clock row's number

    async def _end(self, open_for_s: float) -> int:
        reply = await self._link.command(
            {
                "aggregate": 1,
                "pipeline": [
                    {"$currentOp": {"allUsers": False, "idleSessions": True}},
                    {
                        "$match": {
                            "type": "idleSession",
                            "appName": app_name(self._link.database_name),
                            "transaction.timeOpenMicros": {"$gte": int(open_for_s * 1e6)},
                            "lsid.id": {"$ne": self._session.session_id["id"]},
                        }
                    },
                ],
                "cursor": {},
            },
            admin=True,
        )
        sessions = [{"id": found["lsid"]["id"]} for found in reply["cursor"]["firstBatch"]]
        if sessions:
            await self._link.command({"killSessions": sessions}, admin=True)
            log.warning("ended transactions that a hub had left open", extra={"count": len(sessions)})
        return len(sessions)
