"""Following a message by the live query: how a page that was reloaded, or another device, sees an answer to its end.

It does not matter which process writes the answer, and nothing is kept for it: what is stored is what is shown. An answer that has
lost its caller (a process that was killed) is found here, too, by a lease: while it is being written it changes every few seconds,
so one that did not for `lease_s` is nobody's any more, and is marked as error.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Sequence
from typing import Final, Literal

from hub.client import AsyncHubClient, AsyncSubscription, HubError

from .chunks import Failed
from .hub_api import Message, MessageId, api

log = logging.getLogger(__name__)

BROKE_OFF: Final = "The answer broke off."


def newest_streaming(rows: Sequence[Message]) -> Message | None:
    return next((row for row in reversed(rows) if row["role"] == "assistant" and row["status"] == "streaming"), None)


def row_of(rows: Sequence[Message], message_id: MessageId) -> Message | None:
    return next((row for row in rows if row["_id"] == message_id), None)


async def settle(client: AsyncHubClient, row: Message, status: Literal["complete", "error"]) -> None:
    """End a message that nobody writes, with the text that it has. One that has ended meanwhile stays as it is."""
    nothing_more = api.messages.streamUpsert(
        chatId=row["chatId"], messageId=row["_id"], role=row["role"], delta="", offset=0, status=status
    )
    await client.mutation(nothing_more)


async def deltas(
    client: AsyncHubClient, states: AsyncSubscription[list[Message]], row: Message, lease_s: float
) -> AsyncGenerator[str, None]:
    """All of the text of the message, from its beginning, until it is no longer streaming. Raises Failed if it ends as an error."""
    shown = ""
    while True:
        if row["content"].startswith(shown) and row["content"] != shown:
            yield row["content"][len(shown) :]
            shown = row["content"]
        if row["status"] != "streaming":
            break
        try:
            row = await _next(client, states, row, lease_s)
        except HubError as error:  # the user's token has expired, for one
            log.info("an answer can no longer be followed", extra={"code": error.code})
            raise Failed("The answer can no longer be followed here.") from error
    if row["status"] == "error":
        raise Failed(BROKE_OFF)


async def _next(client: AsyncHubClient, states: AsyncSubscription[list[Message]], row: Message, lease_s: float) -> Message:
    """The message as it is after its next change, or after its lease is over."""
    try:
        async with asyncio.timeout(lease_left_s(row, lease_s)):
            rows = await anext(states)
    except TimeoutError:
        log.warning("an answer has lost its caller", extra={"message_id": row["_id"]})
        await settle(client, row, "error")
        rows = [{**row, "status": "error"}]
    found = row_of(rows, row["_id"])
    if found is None:
        raise Failed("The message is gone.")
    return found


def lease_left_s(row: Message, lease_s: float) -> float:
    """By the hub's clock and ours, which are told to be about the same."""
    return max(0.0, row["updatedAt"] / 1000 + lease_s - time.time())
