"""The published `ai` package chats with the assistant: DefaultChatTransport and a headless chat, over real HTTP."""

from __future__ import annotations

import pytest

from clients.assistant.builtin import answer_to
from hub.client import AsyncHubClient
from tests.assistant.conftest import Open, Person
from tests.assistant.model_server import ModelServer

pytestmark = pytest.mark.real


async def test_an_answer_streams_in_under_the_ids_that_are_stored(page: Open, person: Person) -> None:
    chat = await page(person)

    chat.do("send", text="Tell me a story", id="m1")
    shown = await chat.done("send")
    said, reply = person.messages()

    assert [message["text"] for message in shown] == ["Tell me a story", answer_to("Tell me a story")]
    assert reply["content"] == shown[1]["text"]
    assert reply["status"] == "complete"
    assert shown[1]["id"] == reply["_id"]
    assert shown[1]["metadata"] == {"chatId": person.chat_id, "userMessageId": said["_id"]}
    assert said["clientMessageId"] == "m1"
    texts = [event["messages"][-1]["text"] for event in chat.events if event["event"] == "messages"]
    assert len(set(texts)) > 20, "it came piece by piece"
    assert [event for event in chat.events if event["event"] == "response"] == [
        {"event": "response", "status": 200, "header": "v1"}
    ]
    assert [event["status"] for event in chat.events if event["event"] == "status"] == ["submitted", "streaming", "ready"]


async def test_a_page_that_is_reloaded_in_mid_answer_sees_the_live_query_to_its_end_and_resumes(
    page: Open, person: Person, by_itself: str, model: ModelServer
) -> None:
    model.pieces, model.is_held = [f"word{number} " for number in range(20)], True
    first = await page(person, by_itself)
    first.do("send", text="go on", id="m1")
    seen = await first.shows(lambda messages: messages[-1]["text"].endswith("word9 "))
    first.do("drop")  # the connection, as a reload does
    await first.done("drop")

    second = await page(person, by_itself)
    second.do("resume")
    await second.shows(lambda messages: messages[-1]["text"].endswith("word9 "))
    async with (
        AsyncHubClient(person.hub.url, token=person.token) as client,
        client.subscribe("messages:list", chatId=person.chat_id) as states,
    ):
        before = await anext(states)
        model.release()
        rows = before
        while rows[-1]["status"] == "streaming":
            rows = await anext(states)
    resumed = await second.done("resume")

    whole = "".join(model.pieces)
    assert before[-1]["status"] == "streaming"
    assert (rows[-1]["status"], rows[-1]["content"]) == ("complete", whole)
    assert [message["text"] for message in resumed] == [whole]
    assert resumed[0]["id"] == seen[1]["id"] == rows[-1]["_id"]
    assert len(model.requests) == 1


async def test_there_is_nothing_to_resume_where_nothing_runs(page: Open, person: Person) -> None:
    chat = await page(person)

    chat.do("resume")
    await chat.done("resume")

    assert [event["status"] for event in chat.events if event["event"] == "response"] == [204]
    assert not [event for event in chat.events if event["event"] == "error"]


async def test_another_answer_to_the_same_message_is_a_message_of_its_own(page: Open, person: Person) -> None:
    chat = await page(person)
    chat.do("send", text="hello", id="m1")
    await chat.done("send")

    chat.do("regenerate")
    shown = await chat.done("regenerate")

    said, first, second = person.messages()
    assert [message["id"] for message in shown] == ["m1", second["_id"]]
    assert first["content"] == second["content"] == answer_to("hello")
    assert said["role"] == "user"


async def test_the_page_hears_why_it_is_refused(page: Open, person: Person) -> None:
    chat = await page(Person(person.hub, person.subject, person.token, "no-such-chat"))

    chat.do("send", text="hello", id="m1")
    error = await chat.event(lambda event: event["event"] == "error")

    assert "CHAT_NOT_FOUND" in error["message"]
