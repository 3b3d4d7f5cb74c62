"""Plain `hub dev` in this repository: a chat page in a real browser, whose assistant answers."""

from __future__ import annotations

import pytest

from tests.assistant.conftest import PACE_S
from tests.scenarios.hub_process import HubProcess
from tests.scenarios.pages import Pages
from tests.scenarios.pages import browser as browser  # the fixtures
from tests.scenarios.pages import pages as pages
from tests.scenarios.pages import web as web
from tests.scenarios.test_chat_page import ROWS, open_tab, sign_in, somebody

pytestmark = [pytest.mark.real, pytest.mark.asyncio(loop_scope="module")]


async def test_what_somebody_says_is_answered_on_every_tab(pages: Pages, dev: HubProcess) -> None:
    assert PACE_S > 0, "word by word"
    name = somebody("Ada")
    await sign_in(pages, dev, "one", name)
    await pages.say("one", "hello")
    await pages.until("one", ROWS, lambda rows: len(rows) == 2 and rows[1].endswith("What shall it be?"))
    await open_tab(pages, dev, "two", name)
    await pages.click("two", ".chat-title")
    await pages.until("two", ROWS, lambda rows: len(rows) == 2 and "a list" in rows[1])

    await pages.say("two", "a list then")

    await pages.until("one", ROWS, lambda rows: len(rows) == 4 and rows[3].endswith("Which of the three shall we begin with? 🙂"))
    assert pages.complaints() == []
