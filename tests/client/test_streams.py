"""`stream_text` of both clients, against a real hub and against a scripted one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import pytest

from hub.client import ApplicationError, AsyncHubClient, AsyncTextStream, BadRequest, HubClient, Pacing, TextStream, Timeouts
from hub.errors import HubError
from tests.client.conftest import AnyClient, Open
from tests.client.faults import CUT, answering, refusal, success
from tests.scenarios.conftest import Conversation
from tests.scenarios.hub_process import HubProcess
from tests.scenarios.proxy import proxy_to

AnyStream: TypeAlias = AsyncTextStream | TextStream
UPSERT = "messages:streamUpsert"
TOKENS = [f"{n} \U0001f600 tök\ud83d" if n % 5 == 0 else "\ude00en " if n % 5 == 1 else f"token {n} " for n in range(100)]
TEXT = "".join(TOKENS).encode("utf-16-le", "surrogatepass").decode("utf-16-le")


def reply(chat: Conversation, name: str = "r1") -> dict[str, Any]:
    return {**chat.owned, "role": "assistant", "clientMessageId": name}


@asynccontextmanager
async def streaming(client: AnyClient, *args: Any, **options: Any) -> AsyncIterator[AnyStream]:
    """A stream of either client; what the body raises goes through it."""
    stream = client.client.stream_text(*args, **options)
    if isinstance(stream, AsyncTextStream):
        async with stream:
            yield stream
        return
    await asyncio.to_thread(stream.__enter__)
    try:
        yield stream
    except BaseException as error:
        await asyncio.to_thread(stream.__exit__, type(error), error, None)
        raise
    await asyncio.to_thread(stream.__exit__, None, None, None)


async def put(stream: AnyStream, pieces: Iterable[str]) -> None:
    for piece in pieces:
        if isinstance(stream, AsyncTextStream):
            await stream.write(piece)
        else:
            await asyncio.to_thread(stream.write, piece)


async def put_for_ever(stream: AnyStream) -> None:
    """Until a write fails."""
    while True:
        await put(stream, ["and so on"])
        await asyncio.sleep(0.001)


async def broken_off(client: AnyClient, chat: Conversation, name: str, pieces: Iterable[str], error: BaseException) -> None:
    async with streaming(client, UPSERT, reply(chat, name)) as text:
        await put(text, pieces)
        raise error


async def replies(client: AnyClient, chat: Conversation) -> list[tuple[str, str, str]]:
    rows = await client.query("messages:list", {**chat.owned, "limit": 50})
    return [(row["_id"], row["content"], row["status"]) for row in rows]


@pytest.mark.real
async def test_a_text_is_written_as_it_comes_and_complete_when_the_context_is_left(
    open_client: Open, hub: HubProcess, chat: Conversation
) -> None:
    client = open_client(hub.url)
    async with streaming(client, UPSERT, reply(chat), pacing=Pacing(interval_s=0)) as text:
        message_id = text.message_id
        assert await replies(client, chat) == [(message_id, "", "streaming")], "it is there before its first word"
        await put(text, TOKENS)
        assert text.length == len(TEXT.encode("utf-16-le")) // 2
        shown = client.subscribe("messages:list", {**chat.owned, "limit": 5})
        await shown.until(lambda rows: rows[0]["content"] == TEXT)

    assert await replies(client, chat) == [(message_id, TEXT, "complete")]
    assert text.written == text.length
    assert text.answer == {"messageId": message_id, "status": "complete"}


@pytest.mark.real
async def test_what_the_body_raises_ends_the_message_in_error_with_the_text_so_far(
    open_client: Open, hub: HubProcess, chat: Conversation
) -> None:
    client = open_client(hub.url)
    for name, error in (("r1", ValueError("the model broke off")), ("r2", asyncio.CancelledError())):
        with pytest.raises(type(error)):
            await broken_off(client, chat, name, ["Once", " upon"], error)

    assert [found[1:] for found in await replies(client, chat)] == [("Once upon", "error")] * 2


@pytest.mark.real
async def test_a_text_survives_lost_connections_and_is_there_once(open_client: Open, hub: HubProcess, chat: Conversation) -> None:
    async with proxy_to(hub.port) as proxy:
        client = open_client(proxy.url, timeouts=Timeouts(attempt_s=2.0))
        async with streaming(client, UPSERT, reply(chat), pacing=Pacing(interval_s=0, batch_chars=1)) as text:
            for start in range(0, 100, 20):
                await put(text, TOKENS[start : start + 20])
                proxy.cut()
        assert [found[1:] for found in await replies(open_client(hub.url), chat)] == [(TEXT, "complete")]


@pytest.mark.real
async def test_a_text_goes_on_at_an_offset(open_client: Open, hub: HubProcess, chat: Conversation) -> None:
    client = open_client(hub.url)
    with pytest.raises(ValueError, match="half"):
        await broken_off(client, chat, "r1", ["Half \U0001f600"], ValueError("half"))
    async with streaming(client, UPSERT, reply(chat), offset=len("Half ") + 2) as rest:
        await put(rest, [" and half"])

    assert [found[1:] for found in await replies(client, chat)] == [("Half \U0001f600 and half", "complete")]
    with pytest.raises(ApplicationError) as gap:
        async with streaming(client, UPSERT, reply(chat, "r2"), offset=5):
            raise AssertionError("there is no such place")
    assert gap.value.data == {"code": "OFFSET_GAP", "expected": 0.0, "offset": 5.0}


@pytest.mark.real
async def test_a_writer_hears_that_somebody_stopped_the_message(open_client: Open, hub: HubProcess, chat: Conversation) -> None:
    client = open_client(hub.url)
    async with streaming(client, UPSERT, reply(chat), pacing=Pacing(interval_s=0)) as text:
        await put(text, ["Once"])
        await client.mutation(UPSERT, {**reply(chat), "content": "Once", "status": "complete"})
        while not text.is_stopped:
            await put(text, ["x"])
            await asyncio.sleep(0.01)
        await put(text, ["never seen"])

    assert [found[1:] for found in await replies(client, chat)] == [("Once", "complete")]


@pytest.mark.real
async def test_two_texts_in_one_message_do_not_mix(open_client: Open, hub: HubProcess, chat: Conversation) -> None:
    client = open_client(hub.url)

    async def writing() -> None:
        async with streaming(client, UPSERT, reply(chat)) as text:
            await put(text, ["One text"])
            await client.mutation(UPSERT, {**reply(chat), "content": "Another, longer one", "status": "streaming"})
            await put_for_ever(text)

    with pytest.raises(ApplicationError) as refused:
        await writing()

    assert refused.value.data["code"] == "TEXT_DIFFERS"
    assert [found[2] for found in await replies(client, chat)] == ["error"]


async def test_a_write_without_an_answer_is_repeated_with_its_key(open_client: Open) -> None:
    answer = success({"messageId": "m1"})
    async with (
        answering(answer, CUT, refusal(503, "OutcomeUnknown"), answer) as server,
        streaming(open_client(server.url), "a:b", {"chatId": "c"}) as text,
    ):
        await put(text, ["hello"])

    bodies = [request.body["args"] for request in server.requests]
    keys = [request.headers["idempotency-key"] for request in server.requests]
    assert bodies[0] == {"chatId": "c", "delta": "", "offset": 0, "status": "streaming"}
    assert bodies[1] == bodies[2] == bodies[3]
    assert keys[1] == keys[2] == keys[3] != keys[0]
    assert "".join(body["delta"] for body in bodies[3:]) == "hello"
    assert bodies[-1]["status"] == "complete"


async def test_a_writer_that_is_far_ahead_waits_for_the_hub(open_client: Open) -> None:
    """The hub lets one write pass in a second; the writer may be 10 characters ahead."""
    slow = refusal(503, "TooManyConcurrentRequests", Retry_After="1")
    async with answering(success({"messageId": "m1"}), slow, success({"messageId": "m1"})) as server:
        pacing = Pacing(interval_s=0, batch_chars=1, max_waiting_chars=10)
        async with streaming(open_client(server.url), "a:b", pacing=pacing) as text:
            for _ in range(10):
                await put(text, ["12345"])
                assert text.length - text.written <= 5 + 10 + 5, "on its way, waiting, just accepted"
        assert text.written == 50


async def test_what_a_write_failed_with_is_raised_by_the_next_one_or_at_the_end(open_client: Open) -> None:
    async def writing(url: str, *, for_ever: bool) -> None:
        async with streaming(open_client(url), "a:b", pacing=Pacing(interval_s=0)) as text:
            await put(text, ["hello"])
            if for_ever:
                await put_for_ever(text)

    for for_ever in (False, True):
        async with answering(success({"messageId": "m1"}), refusal(403, "Forbidden")) as server:
            with pytest.raises(HubError, match="Forbidden"):
                await writing(server.url, for_ever=for_ever)


async def test_a_mutation_without_a_message_id_says_so_when_it_is_asked_for(open_client: Open) -> None:
    async with answering(success({"id": 7})) as server, streaming(open_client(server.url), "a:b") as text:
        assert text.answer == {"id": 7.0}
        with pytest.raises(HubError, match="messageId"):
            _ = text.message_id


async def test_half_a_character_is_refused_where_it_is_written(open_client: Open) -> None:
    async with answering(success({"messageId": "m1"})) as server, streaming(open_client(server.url), "a:b") as text:
        with pytest.raises(BadRequest, match="half of a character"):
            await put(text, ["\ude00"])


def test_the_types_of_both_are_those_of_their_clients() -> None:
    sync, asynchronous = HubClient("http://hub"), AsyncHubClient("http://hub")
    assert isinstance(sync.stream_text("a:b", chatId="c"), TextStream)
    assert isinstance(asynchronous.stream_text("a:b", {"chatId": "c"}), AsyncTextStream)
    sync.close()
