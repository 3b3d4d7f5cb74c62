"""The chat page of `hub dev` in a real browser: two people, two tabs each."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

import pytest

from hub.mongo.embedded import MongodBinary
from tests.scenarios.conftest import Conversation
from tests.scenarios.hub_process import HubProcess
from tests.scenarios.pages import Pages
from tests.scenarios.pages import browser as browser  # the fixtures
from tests.scenarios.pages import pages as pages
from tests.scenarios.pages import web as web

pytestmark = [pytest.mark.real, pytest.mark.asyncio(loop_scope="module")]

TITLES = ".chat-title"
ROWS = ".message :is(.bubble, .reply-body)"
"""What is said in the room that is open."""


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
    pages: Pages, mongod_binary: MongodBinary, tmp_path: Path
) -> None:
    with HubProcess(tmp_path, options=("--no-mount",)) as hub:
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
    screens = [(screen["title"], *screen["rows"]) for screen in pages.screens("page")]
    switched = screens[screens.index(("First", "in the first")) + 1 :]
    assert switched == [("Second", "in the second"), ("First", "in the first")], "something else was on the screen in between"
    assert pages.complaints() == []


async def test_older_messages_come_in_above_what_somebody_reads_and_move_nothing(pages: Pages, hub: HubProcess) -> None:
    name = somebody("Ada")
    chat = conversation_of(hub, name, "Long")
    for number in range(100):
        hub.mutation("messages:send", chat.message(f"message {number}", clientMessageId=f"m{number}", createdAt=float(number)))
    await sign_in(pages, hub, "page", name)
    await pages.click("page", TITLES)
    await pages.until("page", ROWS, lambda rows: rows[-1:] == ["message 99"] and len(rows) < 100)

    await pages.do("wheel", "page", ".scroller", pixels=-700)
    read = 'text="message 85"'
    before = await pages.do("place", "page", read)
    hub.mutation("messages:send", chat.message("something new"))  # below what is read, by another tab
    await pages.until("page", ROWS, lambda rows: rows[-1] == "something new")
    assert await pages.do("place", "page", read) == pytest.approx(before, abs=2)

    seen = 0
    while (rows := await pages.texts("page", ROWS))[0] != "message 0":
        assert len(rows) >= seen, "rows went away"
        seen = len(rows)
        await pages.do("wheel", "page", ".scroller", pixels=-900)
    assert await pages.texts("page", ROWS) == [*(f"message {number}" for number in range(100)), "something new"]
    await pages.click("page", 'role=button[name="To the newest message"]')
    await pages.wait("page", 'role=button[name="To the newest message"]', "detached")
    assert pages.complaints() == []


async def test_a_chat_is_renamed_and_deleted_on_every_tab(pages: Pages, hub: HubProcess) -> None:
    name = somebody("Ada")
    conversation_of(hub, name, "First")
    conversation_of(hub, name, "Second")
    await sign_in(pages, hub, "page", name)
    await open_tab(pages, hub, "other", name)
    await pages.click("page", "text=First")
    await pages.click("other", "text=First")

    await pages.press("page", "F2")
    await pages.do("fill", "page", "role=textbox[name=Title]", text="Better")
    await pages.press("page", "Enter")
    for page in ("page", "other"):
        await pages.shows(page, TITLES, "Better", "Second")
        await pages.shows(page, ".room-title", "Better")

    await pages.press("page", "F2")
    await pages.do("fill", "page", "role=textbox[name=Title]", text="Worse")
    await pages.press("page", "Escape")
    await pages.click("page", "role=button[name=Delete]")
    await pages.press("page", "Escape")
    await pages.shows("page", TITLES, "Better", "Second")
    await pages.click("page", "role=button[name=Delete]")
    await pages.click("page", "dialog >> role=button[name=Delete]")

    for page in ("page", "other"):
        await pages.shows(page, TITLES, "Second")
    await pages.wait("page", ".greeting")
    await pages.wait("other", "text=This chat is not here")
    assert pages.complaints() == []


async def test_a_reply_is_stopped_with_what_there_is_of_it(pages: Pages, hub: HubProcess) -> None:
    name = somebody("Ada")
    chat = conversation_of(hub, name, "Endless")
    reply = {**chat.owned, "role": "assistant", "clientMessageId": "r"}
    hub.mutation("messages:streamUpsert", {**reply, "content": "on and", "status": "streaming"})
    await sign_in(pages, hub, "page", name)
    await pages.click("page", TITLES)
    await pages.shows("page", ROWS, "on and")

    await pages.click("page", 'role=button[name="Stop the reply"]')

    await pages.wait("page", ".replied[data-status=complete]")
    hub.mutation("messages:streamUpsert", {**reply, "content": "on and on", "status": "streaming"})  # it had not heard
    (row,) = hub.query("messages:list", chat.owned)
    assert (row["content"], row["status"]) == ("on and", "complete")
    assert pages.complaints() == []


async def test_everything_is_done_with_the_keyboard_alone(pages: Pages, hub: HubProcess) -> None:
    name = somebody("Ada")
    for title in ("Third", "Second", "First"):
        conversation_of(hub, name, title)
    await sign_in(pages, hub, "page", name)
    await pages.shows("page", TITLES, "First", "Second", "Third")

    await pages.press("page", "Alt+ArrowDown")
    await pages.shows("page", ".room-title", "First")
    await pages.press("page", "Alt+ArrowDown", "Alt+ArrowDown", "Alt+ArrowUp")
    await pages.shows("page", ".room-title", "Second")
    await pages.until("page", "textarea:focus", lambda found: len(found) == 1)
    await pages.do("fill", "page", "textarea", text="one line")
    await pages.press("page", "Shift+Enter", "a", "Enter")
    await pages.shows("page", ROWS, "one line\na")
    assert await pages.do("focus", "page") == "Message"

    await pages.press("page", "Escape", "?")
    await pages.wait("page", "dialog >> text=Keyboard")
    await pages.press("page", "Escape")
    await pages.wait("page", "dialog", "detached")
    await pages.press("page", "/")
    assert await pages.do("focus", "page") == "Message"
    await pages.press("page", "Alt+n")
    await pages.shows("page", ".room-title", "New chat")

    await pages.do("focusOn", "page", ".chat-link >> nth=0")
    await pages.press("page", "ArrowDown", "ArrowDown", "ArrowUp", "End", "Home", "ArrowDown", "Enter")
    await pages.shows("page", ".room-title", "First")
    await pages.do("focusOn", "page", '.chat-link:has-text("Third")')
    await pages.press("page", "Delete")
    await pages.wait("page", "dialog")
    await pages.press("page", "Tab", "Enter")
    await pages.shows("page", TITLES, "Second", "First")
    assert pages.complaints() == []


async def test_somebody_else_sits_down_and_sees_nothing_of_who_was_there(pages: Pages, hub: HubProcess) -> None:
    ada = somebody("Ada")
    secret = conversation_of(hub, ada, "A secret")
    await sign_in(pages, hub, "page", ada)
    await pages.click("page", TITLES)
    await pages.shows("page", ".room-title", "A secret")

    await pages.click("page", 'role=button[name="Sign in as somebody else"]')
    await pages.do("fill", "page", "input[name=name]", text=somebody("Grace"))
    await pages.press("page", "Enter")

    await pages.wait("page", "text=This chat is not here")
    await pages.wait("page", "text=Your chats will be here")
    assert await pages.texts("page", TITLES) == []
    assert hub.query("chats:get", secret.owned)["title"] == "A secret"
    assert pages.complaints() == []


@pytest.mark.parametrize("is_dark", [pytest.param(False, id="light"), pytest.param(True, id="dark")])
async def test_a_checker_of_accessibility_finds_nothing(pages: Pages, hub: HubProcess, is_dark: bool) -> None:
    name = somebody("Ada")
    chat = conversation_of(hub, name, "A chat")
    text = "# A title\n\nA **list**:\n\n- one\n- [two](https://example.org)\n\n> said\n\n```py\nx = 1\n```\n\n|a|b|\n|-|-|\n|1|2|\n"
    hub.mutation("messages:send", {**chat.message("A question"), "assistantMessage": {"content": text}})
    hub.mutation(
        "messages:streamUpsert", {**chat.owned, "role": "assistant", "clientMessageId": "r", "content": "", "status": "error"}
    )
    await pages.open("page", hub.url, person=name, isDark=is_dark)
    await pages.wait("page", "input[name=name]")
    found = {"sign in": await pages.do("check", "page")}
    await pages.do("fill", "page", "input[name=name]", text=name)
    await pages.press("page", "Enter")
    await pages.wait("page", ".greeting")
    found["greeting"] = await pages.do("check", "page")
    await pages.click("page", TITLES)
    await pages.wait("page", ".markdown table")
    for width in (1200, 390):
        await pages.do("resize", "page", width=width, height=800)
        found[f"room, {width}"] = await pages.do("check", "page")
    await pages.click("page", 'role=link[name="All chats"]')
    await pages.wait("page", TITLES)
    found["list, narrow"] = await pages.do("check", "page")
    await pages.click("page", 'role=button[name="Keyboard shortcuts"]')
    found["dialog"] = await pages.do("check", "page")

    assert not any(found.values()), found


async def test_on_a_phone_there_is_the_list_or_a_room(pages: Pages, hub: HubProcess) -> None:
    name = somebody("Ada")
    conversation_of(hub, name, "A chat")
    await sign_in(pages, hub, "page", name, width=390, height=780)
    await pages.wait("page", TITLES)
    await pages.wait("page", ".stage", "hidden")

    await pages.click("page", TITLES)
    await pages.wait("page", ".room-title")
    await pages.wait("page", ".sidebar", "hidden")
    await pages.say("page", "a word that is wider than the screen: " + "w" * 200)
    assert await pages.do("width", "page") == 390, "the page can be scrolled sideways"

    await pages.click("page", 'role=link[name="All chats"]')
    await pages.wait("page", TITLES)
    assert pages.complaints() == []


async def test_the_colours_are_the_systems_until_somebody_chooses(pages: Pages, hub: HubProcess) -> None:
    await sign_in(pages, hub, "page", somebody("Ada"))
    light = await ground(pages)
    await pages.do("colours", "page", isDark=True)
    dark = await ground(pages, unlike=light)

    await pages.click("page", "role=button[name=Light]")
    assert await ground(pages, unlike=dark) == light
    await pages.do("reload", "page")
    await pages.wait("page", ".greeting")
    assert await ground(pages) == light
    await pages.click("page", 'role=button[name="Colours of the system"]')
    assert await ground(pages, unlike=light) == dark


async def ground(pages: Pages, unlike: str = "") -> str:
    """The colour behind everything, once it is another one."""
    colour: str = await pages.do("style", "page", "html", name="backgroundColor")
    async with asyncio.timeout(10):
        while colour == unlike:  # it happens in another process
            await asyncio.sleep(0.05)
            colour = await pages.do("style", "page", "html", name="backgroundColor")
    return colour
