"""The assistant's HTTP contract: who may, what a repeat does, how an answer is stopped, and what is left after a crash."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from clients.assistant.builtin import answer_to
from hub.mongo.embedded import MongodBinary
from tests.assistant.conftest import LEASE_S, Person, chunk_of, chunks_of, somebody, text_of
from tests.assistant.model_server import ModelServer
from tests.scenarios.hub_process import HTTP, HubProcess

pytestmark = pytest.mark.real

STORY = answer_to("story")


# --- saying something ----------------------------------------------------------------------------------------------


def test_an_answer_is_one_message_of_the_protocol(person: Person) -> None:
    chunks = chunks_of(person.post("/chat", person.said("hi")))
    said, reply = person.messages()

    kinds = [chunk["type"] for chunk in chunks]
    assert kinds[:3] == ["start", "start-step", "text-start"]
    assert kinds[-3:] == ["text-end", "finish-step", "finish"]
    assert set(kinds[3:-3]) == {"text-delta"}
    assert chunks[0]["messageId"] == reply["_id"]
    assert text_of(chunks) == reply["content"] == answer_to("hi")
    assert (said["content"], said["role"], reply["role"], reply["status"]) == ("hi", "user", "assistant", "complete")


def test_a_repeat_is_the_same_message_and_the_same_answer(person: Person) -> None:
    """At the same time, and afterwards: a page that is not sure whether it was heard says it again."""
    with ThreadPoolExecutor(3) as pool:
        at_once = list(pool.map(lambda _: chunks_of(person.post("/chat", person.said("story"))), range(3)))
    later = chunks_of(person.post("/chat", person.said("story")))

    assert len(person.messages()) == 2
    assert {text_of(chunks) for chunks in (*at_once, later)} == {STORY}
    assert {chunks[0]["messageId"] for chunks in (*at_once, later)} == {person.reply()["_id"]}


def test_the_model_sees_what_was_said_before(person: Person, by_itself: str, model: ModelServer) -> None:
    chunks_of(person.post("/chat", person.said("first", "a"), by_itself))
    chunks_of(person.post("/chat", person.said("second", "b"), by_itself))

    asked = model.requests[-1]
    assert [(each["role"], each["content"]) for each in asked["messages"][1:]] == [
        ("user", "first"),
        ("assistant", "Hello 🙂 there"),
        ("user", "second"),
    ]
    assert asked["messages"][0]["role"] == "system"
    assert (asked["model"], asked["stream"]) == ("small", True)
    assert model.keys == ["Bearer a-key"] * 2


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({}, 401, id="nobody"),
        pytest.param({"Authorization": "Bearer"}, 401, id="an empty token"),
        pytest.param({"Authorization": "Bearer not-a-token"}, 401, id="no token of anybody"),
        pytest.param({"Authorization": "Basic YTpi"}, 401, id="something else"),
    ],
)
def test_nobody_is_trusted_without_a_token(person: Person, headers: dict[str, str], status: int) -> None:
    """Not even on the hub's own machine, where `hub dev` trusts whoever has none."""
    answers = [
        person.post("/chat", person.said("hi"), headers=headers),
        person.post("/stop", {"chatId": person.chat_id, "messageId": "m"}, headers=headers),
        HTTP.get(f"{person.hub.url}/assistant/chat/{person.chat_id}/stream", headers=headers),
    ]

    assert [answer.status_code for answer in answers] == [status] * 3
    assert person.messages() == []


def test_another_ones_chat_is_none(person: Person) -> None:
    other = somebody(person.hub)
    message_id = person.start("story")

    answers = [
        other.post("/chat", person.said("hi")),
        other.post("/stop", {"chatId": person.chat_id, "messageId": message_id}),
        HTTP.get(f"{person.hub.url}/assistant/chat/{person.chat_id}/stream", headers=other.headers),
    ]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(404, "CHAT_NOT_FOUND")] * 3
    assert person.ended()["content"] == STORY


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({}, id="nothing"),
        pytest.param([], id="a list"),
        pytest.param({"chatId": "c", "userMessage": {"content": "hi"}}, id="a message without a name"),
        pytest.param({"chatId": "c", "userMessage": {"clientMessageId": "a", "content": ""}}, id="an empty message"),
        pytest.param({"id": "c", "messages": [], "trigger": "submit-message"}, id="no messages"),
        pytest.param(
            {"id": "c", "messages": [{"id": "a", "role": "assistant", "parts": []}], "trigger": "submit-message"},
            id="the assistant's message",
        ),
    ],
)
def test_a_body_that_makes_no_sense_is_refused_with_a_reason(person: Person, body: Any) -> None:
    answer = person.post("/chat", body)

    assert answer.status_code == 400
    assert answer.json()["code"] == "BadRequest"


def test_a_body_that_is_too_large_is_refused(person: Person) -> None:
    assert person.post("/chat", person.said("x" * 5 * 2**20)).status_code == 413


# --- stopping ------------------------------------------------------------------------------------------------------


def test_stopping_ends_an_answer_with_what_there_is_and_may_be_repeated(person: Person, by_itself: str, model: ModelServer) -> None:
    model.is_held = True
    message_id = person.start("go on", base=by_itself)
    stop = {"chatId": person.chat_id, "messageId": message_id}

    first = person.post("/stop", stop, by_itself)
    row = person.reply()
    again = person.post("/stop", stop, by_itself)

    assert (first.status_code, again.status_code) == (200, 200)
    assert row["status"] == "complete"
    assert row["content"]
    assert "Hello ".startswith(row["content"])
    assert person.reply() == row


def test_any_process_stops_an_answer(person: Person, by_itself: str, model: ModelServer) -> None:
    """Not only the one that writes it, which hears of it with its next write."""
    model.is_held = True
    message_id = person.start("go on", base=by_itself)

    stopped = person.post("/stop", {"chatId": person.chat_id, "messageId": message_id})
    row = person.reply()
    model.release()
    whole = chunks_of(person.post("/chat", person.said("go on"), by_itself))

    assert stopped.status_code == 200
    assert row["status"] == "complete"
    assert person.reply()["content"] == row["content"]
    assert text_of(whole).startswith(row["content"])


def test_stopping_what_is_not_there_is_an_error(person: Person) -> None:
    assert person.post("/stop", {"chatId": person.chat_id, "messageId": "nothing"}).status_code == 404


# --- models that fail ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failure", "kept", "says"),
    [
        pytest.param({"status": 500}, "", "The model refused.", id="refused"),
        pytest.param({"ending": "cut"}, "Hello 🙂 there", "The model broke off.", id="cut"),
        pytest.param({"ending": "error"}, "Hello 🙂 there", "The model failed.", id="error"),
        pytest.param({"ending": "silence"}, "Hello 🙂 there", "The model was silent for too long.", id="silence"),
    ],
)
def test_a_model_that_fails_leaves_what_it_said_and_an_error(
    person: Person, by_itself: str, model: ModelServer, failure: dict[str, Any], kept: str, says: str
) -> None:
    for name, value in failure.items():
        setattr(model, name, value)

    chunks = chunks_of(person.post("/chat", person.said("hi"), by_itself))

    assert chunks[-1] == {"type": "error", "errorText": says}
    assert text_of(chunks) == kept
    assert (person.reply()["status"], person.reply()["content"]) == ("error", kept)
    assert text_of(chunks_of(person.post("/chat", person.said("hi"), by_itself))) == kept, "a repeat asks nobody again"
    assert len(model.requests) == 1


def test_an_answer_that_cannot_be_kept_says_so(person: Person, by_itself: str, model: ModelServer) -> None:
    """Its chat is removed meanwhile."""
    model.is_held = True
    said = person.said("go on")
    with HTTP.stream("POST", f"{by_itself}/chat", json=said, headers=person.headers, timeout=30) as answer:
        lines = answer.iter_lines()
        next(line for line in lines if "text-delta" in line)
        person.call("mutation", "chats:remove", chatId=person.chat_id)
        model.release()
        rest = [chunk for chunk in map(chunk_of, lines) if chunk is not None]

    assert rest[-1] == {"type": "error", "errorText": "The answer could not be kept."}


# --- restarts ------------------------------------------------------------------------------------------------------


def test_no_restart_leaves_an_answer_streaming_for_ever(mongod_binary: MongodBinary, tmp_path: Path) -> None:
    """One that is told to stop marks it; after a kill, whoever looks at the chat does when the lease is over."""
    environment = {"HUB_CHAT_PACE_S": "0.1", "HUB_CHAT_LEASE_S": str(LEASE_S), "HUB_CHAT_MODEL_SILENCE_S": "1"}
    with HubProcess(tmp_path / "hub", options=("--no-reload",), environment=environment) as hub:
        person = somebody(hub)
        person.start("story", "stopped")
        hub.stop()
        hub.start()
        stopped = person.reply()
        person.start("story", "killed")
        hub.signal(signal.SIGKILL)
        hub.wait(10)
        hub.start()
        orphan = person.reply()
        url = f"{hub.url}/assistant/chat/{person.chat_id}/stream"
        followed = chunks_of(HTTP.get(url, headers=person.headers, timeout=30))
        settled = person.reply()

    assert stopped["status"] == "error"
    assert stopped["content"]
    assert orphan["status"] == "streaming"
    assert followed[-1]["type"] == "error"
    assert text_of(followed) == orphan["content"]
    assert (settled["status"], settled["content"]) == ("error", orphan["content"])
