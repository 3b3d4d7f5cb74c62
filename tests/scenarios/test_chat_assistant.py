"""The chat page of `hub dev` with the assistant that the chat mounts: somebody answers, from the built-in model."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hub.mongo.embedded import MongodBinary
from tests.scenarios.hub_process import HubProcess
from tests.scenarios.pages import Pages
from tests.scenarios.pages import browser as browser  # the fixtures
from tests.scenarios.pages import pages as pages
from tests.scenarios.pages import web as web
from tests.scenarios.test_chat_page import TITLES, open_tab, sign_in, somebody

pytestmark = [pytest.mark.real, pytest.mark.asyncio(loop_scope="module")]

REPLIES = ".replied[data-status] .reply-body"
STORY = "Tell me a story"


@pytest.fixture(scope="module")
def hub(mongod_binary: MongodBinary, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with HubProcess(tmp_path_factory.mktemp("hub")) as running:
        yield running


async def test_an_answer_streams_in_on_both_tabs_and_a_tab_that_is_reloaded_goes_on_with_it(pages: Pages, hub: HubProcess) -> None:
    name = somebody("Ada")
    await sign_in(pages, hub, "page", name)
    await open_tab(pages, hub, "other", name)

    await pages.click("page", f"text={STORY}")
    await pages.until("other", TITLES, lambda titles: titles == [STORY])
    await pages.click("other", TITLES)
    await pages.until("other", REPLIES, lambda replies: "lighthouse" in "".join(replies))
    await pages.do("reload", "page")

    for page in ("page", "other"):
        await pages.wait(page, ".replied[data-status=complete]")
    assert await pages.texts("page", REPLIES) == await pages.texts("other", REPLIES)
    assert (await pages.texts("page", REPLIES))[0].endswith("and so are we. ⛵")
    lengths = [len("".join(screen["rows"])) for screen in pages.screens("other") if screen["title"] == STORY]
    assert len(set(lengths)) > 5, "it did not come bit by bit"
    assert pages.complaints() == []


async def test_escape_stops_the_answer_and_the_chat_goes_on(pages: Pages, hub: HubProcess) -> None:
    await sign_in(pages, hub, "page", somebody("Ada"))
    await pages.say("page", STORY)
    await pages.until("page", REPLIES, lambda replies: "ninety-one" in "".join(replies))

    await pages.press("page", "Escape")
    await pages.wait("page", ".replied[data-status=complete]")
    await pages.say("page", "Show me some code")

    await pages.until("page", REPLIES, lambda replies: len(replies) == 2 and replies[1].endswith("as it is now."))
    assert "so are we" not in (await pages.texts("page", REPLIES))[0], "it was not stopped"
    assert pages.complaints() == []


async def test_a_request_that_fails_is_told_and_can_be_made_again(
    pages: Pages, mongod_binary: MongodBinary, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """One answer at a time is this assistant's limit, and one is being written."""
    limits = {"HUB_CHAT_ANSWERS_MAX": "1"}
    with HubProcess(tmp_path_factory.mktemp("hub"), environment=limits) as hub:
        await sign_in(pages, hub, "busy", somebody("Ada"))
        await sign_in(pages, hub, "page", somebody("Grace"))
        await pages.say("busy", STORY)
        await pages.until("busy", REPLIES, lambda replies: "lighthouse" in "".join(replies))

        await pages.say("page", "Show me some code")
        await pages.wait("page", "text=Ask again")
        await pages.press("busy", "Escape")
        await pages.wait("busy", ".replied[data-status=complete]")
        while not await pages.texts("page", REPLIES):  # until the other answer has been written to its end
            await pages.click("page", "text=Ask again")
            await pages.until("page", f"{REPLIES}, .note button", lambda found: found != [])

        await pages.until("page", REPLIES, lambda replies: [reply[-13:] for reply in replies] == ["as it is now."])
        await pages.wait("page", "text=Ask again", "detached")
    complaints = [text for text in pages.complaints() if "503" not in text]
    assert complaints == []
