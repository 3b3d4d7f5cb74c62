"""The chat page of `hub dev` in a real browser: two people, two tabs each."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import uuid
from collections.abc import AsyncIterator

import pytest

from tests.conftest import missing, require_chromium
from tests.scenarios.conftest import Conversation
from tests.scenarios.hub_process import HubProcess
from tests.scenarios.pages import WEB, Pages, opened_pages

pytestmark = pytest.mark.real

TITLES = ".chat-title"
ROWS = ".message :is(.bubble, .reply-body)"
"""What is said in the room that is open."""


@pytest.fixture(scope="session")
def web() -> None:
    """The packages of `clients/js/web`: the checker of accessibility is one of them."""
    if not (WEB / "node_modules" / ".package-lock.json").exists():
        npm = shutil.which("npm") or missing("npm is not on PATH")
        done = subprocess.run([npm, "ci"], cwd=WEB, capture_output=True, text=True, timeout=100, check=False)
        if done.returncode != 0:
            missing(f"the packages of the page could not be installed: {done.stderr[-500:]}")


@pytest.fixture
async def pages(node: str, web: None) -> AsyncIterator[Pages]:
    async with opened_pages(node, require_chromium()) as running:
        yield running


def somebody(name: str) -> str:
    """A name that no other test signs in with."""
    return f"{name} {uuid.uuid4().hex[:8]}"


def conversation_of(hub: HubProcess, name: str, title: str) -> Conversation:
    subject = name.lower().replace(" ", "-")
    user_id = hub.mutation("users:ensure", {"externalId": subject, "name": name})["userId"]
    return Conversation(subject, user_id, hub.mutation("chats:create", {"userId": user_id, "title": title})["chatId"])


async def sign_in(pages: Pages, hub: HubProcess, page: str, name: str, **options: object) -> None:
    await pages.open(page, hub.url, person=name, **options)
    await pages.do("fill", page, "input[name=name]", text=name)
    await pages.press(page, "Enter")
    await pages.wait(page, ".chat-page nav")


async def open_tab(pages: Pages, hub: HubProcess, page: str, name: str) -> None:
    """Another tab of somebody who has signed in: it begins as them."""
    await pages.open(page, hub.url, person=name)
    await pages.wait(page, ".chat-page nav")


async def test_what_one_tab_says_is_on_the_other_tab_and_nobody_elses(pages: Pages, hub: HubProcess) -> None:
    ada, grace = somebody("Ada"), somebody("Grace")
    await sign_in(pages, hub, "ada", ada)
    await open_tab(pages, hub, "ada's other", ada)
    await sign_in(pages, hub, "grace", grace)
    await open_tab(pages, hub, "grace's other", grace)

    await pages.say("ada", "Is anybody there?")
    await pages.say("grace", "Hello from Grace")

    await pages.shows("ada's other", TITLES, "Is anybody there?")
    await pages.click("ada's other", TITLES)
    await pages.shows("ada's other", ROWS, "Is anybody there?")
    await pages.say("ada's other", "I am")
    await pages.shows("ada", ROWS, "Is anybody there?", "I am")
    await pages.shows("grace's other", TITLES, "Hello from Grace")
    await pages.shows("grace", ROWS, "Hello from Grace")
    assert pages.complaints() == []


async def test_the_page_asks_nobody_but_its_hub(pages: Pages, hub: HubProcess) -> None:
    await sign_in(pages, hub, "page", somebody("Ada"))

    await pages.say("page", "An ![picture](https://elsewhere.test/a.png) of [it](https://elsewhere.test/)")

    await pages.until("page", ROWS, lambda rows: len(rows) == 1)
    assert all(url.startswith(f"{hub.url}/") for url in pages.requested())
    assert pages.complaints() == []


async def test_a_reply_that_streams_in_grows_on_every_tab(pages: Pages, hub: HubProcess) -> None:
    name = somebody("Ada")
    chat = conversation_of(hub, name, "Counting")
    await sign_in(pages, hub, "one", name)
    await open_tab(pages, hub, "other", name)
    for page in ("one", "other"):
        await pages.click(page, TITLES)
    hub.mutation("messages:send", chat.message("Count", clientMessageId="m"))

    words = ["one", "two", "three", "four"]
    for count in range(1, len(words) + 1):
        state = {"content": " ".join(words[:count]), "status": "complete" if count == len(words) else "streaming"}
        hub.mutation("messages:streamUpsert", {**chat.owned, "role": "assistant", "clientMessageId": "r", **state})
        for page in ("one", "other"):
            await pages.shows(page, ROWS, "Count", " ".join(words[:count]))

    assert await pages.do("attribute", "one", ".replied", name="data-status") == "complete"
    await pages.until("one", "[role=status].visually-hidden", lambda texts: "The assistant replied: one two three four" in texts)
    assert pages.complaints() == []


async def test_a_message_is_on_the_screen_before_the_hub_has_it_and_nothing_flickers(pages: Pages, hub: HubProcess) -> None:
    await sign_in(pages, hub, "page", somebody("Ada"))
    sent = [f"message {number}" for number in range(5)]

    await pages.say("page", sent[0])
    await pages.wait("page", "role=button[name=Rename]")
    for content in sent[1:]:
        await pages.say("page", content)
        assert (await pages.texts("page", ROWS))[-1] == content, "it was not there at once"

    await pages.shows("page", ROWS, *sent)
    await pages.wait("page", ".said[data-pending]", "detached")
    for screen in pages.screens("page")[1:]:
        rows = screen["rows"]
        assert rows == sent[: len(rows)], "a message is missing, out of order, or shown twice"
    counts = [len(screen["rows"]) for screen in pages.screens("page") if screen["title"] != "New chat"]
    assert counts == sorted(counts), "a message went away and came back"
    assert pages.complaints() == []


async def test_nothing_goes_away_when_the_hub_is_killed_and_what_was_said_meanwhile_arrives(
    pages: Pages, node: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with HubProcess(tmp_path_factory.mktemp("own")) as hub:
        name = somebody("Ada")
        await sign_in(pages, hub, "page", name)
        await open_tab(pages, hub, "other", name)
        await pages.say("page", "before")
        await pages.shows("other", TITLES, "before")
        await pages.click("other", TITLES)
        await pages.shows("other", ROWS, "before")

        assert hub.process is not None
        hub.process.kill()
        hub.process.wait()
        await pages.wait("page", ".connection.away")
        await pages.say("page", "while it was away")
        await pages.shows("page", ROWS, "before", "while it was away")
        hub.start()

        await pages.shows("other", ROWS, "before", "while it was away")
        await pages.wait("page", ".connection.live")
        await pages.wait("page", ".said[data-pending]", "detached")
        after = [screen for screen in pages.screens("page") if screen["title"] == "before"]
        assert not any(screen["isEmpty"] for screen in after[1:])
        assert {tuple(screen["rows"]) for screen in after} <= {(), ("before",), ("before", "while it was away")}
    assert [text for text in pages.complaints() if "net::ERR_CONNECTION_REFUSED" not in text] == []


async def test_a_chat_that_the_pointer_is_on_is_ready_before_it_is_opened(pages: Pages, hub: HubProcess) -> None:
    name = somebody("Ada")
    first, second = conversation_of(hub, name, "First"), conversation_of(hub, name, "Second")
    hub.mutation("messages:send", first.message("in the first"))
    hub.mutation("messages:send", second.message("in the second"))
    await sign_in(pages, hub, "page", name)
    await pages.click("page", "text=First")
    await pages.shows("page", ROWS, "in the first")

    await pages.do("hover", "page", "text=Second")
    await asyncio.sleep(0.5)  # how long a pointer takes from coming to clicking
    await pages.click("page", "text=Second")

    await pages.shows("page", ROWS, "in the second")
    await pages.click("page", "text=First")
    await pages.shows("page", ROWS, "in the first")
    opened = [(screen["title"], *screen["rows"]) for screen in pages.screens("page") if screen["title"] in ("First", "Second")]
    assert opened[-2:] == [("Second", "in the second"), ("First", "in the first")]
    assert all(len(screen) == 2 for screen in opened[-2:])
    assert pages.complaints() == []
