"""The playground of `hub dev` in a real browser: for an application that is no chat, and beside the chat."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hub import starter
from hub.mongo.embedded import MongodBinary
from tests.scenarios.hub_process import HubProcess
from tests.scenarios.pages import Pages
from tests.scenarios.pages import browser as browser  # the fixtures
from tests.scenarios.pages import pages as pages
from tests.scenarios.pages import web as web
from tests.scenarios.test_chat_page import somebody

pytestmark = [pytest.mark.real, pytest.mark.asyncio(loop_scope="module")]

RESULT = "section[aria-label=Result]"

ECHO = '''
"""What comes in goes out."""

from typing import Literal

from hub import Int64, Model, QueryContext, query


class Shape(Model):
    """A shape to be echoed."""

    corners: list[float]
    label: str | None = None


@query(public=True)
async def echo(
    ctx: QueryContext, text: str, number: float, big: Int64, colour: Literal["red", "green"], shape: Shape, flag: bool | None = None
) -> list[str]:
    """Says what it was given.

    In the words of Python.
    """
    return [text, repr(number), repr(big), colour, repr(shape.corners), repr(flag)]
'''


@pytest.fixture(scope="module")
def hub(mongod_binary: MongodBinary, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """Of the application that `hub init` writes, and a query with every kind of argument."""
    folder = tmp_path_factory.mktemp("playground")
    starter.write(folder / "app")
    (folder / "app" / "queries" / "mirror.py").write_text(ECHO)
    with HubProcess(folder / "hub", app=folder / "app") as running:
        yield running


async def test_another_application_gets_the_playground_with_its_functions_and_tables(pages: Pages, hub: HubProcess) -> None:
    await pages.open("page", hub.url)

    await pages.wait("page", "text=A hub runs here")

    listed = await pages.texts("page", ".contents .chat-title")
    assert "echo" in listed
    await pages.click("page", ".contents >> text=echo")
    await pages.wait("page", "text=In the words of Python.")
    assert await pages.texts("page", ".argument-name") == ["text", "number", "big", "colour", "shape", "flag"]
    assert pages.complaints() == []


async def test_arguments_of_every_kind_arrive_as_they_were_typed(pages: Pages, hub: HubProcess) -> None:
    await pages.open("page", f"{hub.url}/#/playground/mirror%3Aecho")
    await pages.wait("page", ".argument")
    assert '"corners"' in await pages.do("value", "page", "textarea[name=shape]")

    await pages.do("fill", "page", "input[name=number]", text="many")
    await pages.click("page", "role=button[name=Watch]")
    await pages.until("page", ".mistake", lambda mistakes: "number must be a number" in mistakes and "colour is needed" in mistakes)

    await pages.do("fill", "page", "input[name=text]", text="5")
    await pages.do("fill", "page", "input[name=number]", text="1.5")
    await pages.do("fill", "page", "input[name=big]", text="9007199254740993")
    await pages.do("choose", "page", "select[name=colour]", text="green")
    await pages.do("choose", "page", "select[name=flag]", text="true")
    await pages.do("fill", "page", "textarea[name=shape]", text='{"corners": [1, 2.5]}')
    await pages.press("page", "Control+Enter")

    lines = ['"5",', '"1.5",', '"9007199254740993",', '"green",', '"[1.0, 2.5]",', '"True"']
    await pages.until(
        "page",
        f"{RESULT} .tree-inside .tree-line",
        lambda found: [line.replace("Int64(", "").replace(')"', '"') for line in found] == lines,
    )
    assert pages.complaints() == []


async def test_a_watched_query_shows_what_changed_where_it_changed(pages: Pages, shared_hub: HubProcess) -> None:
    subject = somebody("watcher").replace(" ", "-")
    token = shared_hub.token(subject)
    shared_hub.mutation("users:ensure", {"externalId": subject}, token)
    first = shared_hub.mutation("chats:create", {"title": "First"}, token)["chatId"]
    shared_hub.mutation("chats:create", {"title": "Second"}, token)
    await pages.open("page", f"{shared_hub.url}/#/playground/chats%3Alist")
    await pages.do("fill", "page", "input[name=caller]", text=subject)
    await pages.press("page", "Enter")
    await pages.click("page", "role=button[name=Watch]")
    await pages.until("page", ".tree-string", lambda texts: '"First"' in texts)
    assert await pages.texts("page", ".change") == []

    shared_hub.mutation("chats:rename", {"chatId": first, "title": "First of all"}, token)

    changes = await pages.until("page", ".change", lambda found: len(found) == 3)
    assert any('grew by " of all"' in change for change in changes)
    assert '"First of all"' in (await pages.texts("page", ".tree [data-changed=changed]"))[0]
    await pages.click("page", 'role=button[name="Stop watching"]')
    await pages.wait("page", RESULT, "detached")
    assert pages.complaints() == []


async def test_a_mutation_is_called_and_what_it_raises_is_shown(pages: Pages, shared_hub: HubProcess) -> None:
    await pages.open("page", f"{shared_hub.url}/#/playground/users%3Aensure")
    subject = somebody("made").replace(" ", "-")
    await pages.do("fill", "page", "input[name=externalId]", text=subject)
    await pages.click("page", "role=button[name=Call]")
    await pages.until("page", f"{RESULT} .tree-key", lambda keys: keys == ["userId:"])

    await pages.do("fill", "page", "input[name=caller]", text="somebody-else")
    await pages.press("page", "Enter")
    await pages.click("page", "role=button[name=Call]")

    await pages.until("page", f"{RESULT} .failure", lambda found: "FORBIDDEN" in "".join(found))
    assert pages.complaints() == []


async def test_new_code_is_in_the_playground_when_somebody_comes_back_to_it(pages: Pages, hub: HubProcess) -> None:
    await pages.open("page", f"{hub.url}/#/playground/mirror%3Aecho")
    await pages.wait("page", "text=Says what it was given.")
    file = Path(hub.app) / "queries" / "mirror.py"
    file.write_text(ECHO.replace("Says what it was given.", "Repeats what it was given."))

    await pages.do("comeBackUntil", "page", "text=Repeats what it was given.")

    file.write_text(ECHO)
    assert pages.complaints() == []


@pytest.mark.parametrize("is_dark", [pytest.param(False, id="light"), pytest.param(True, id="dark")])
async def test_a_checker_of_accessibility_finds_nothing(pages: Pages, shared_hub: HubProcess, is_dark: bool) -> None:
    found = {}
    await pages.open("page", f"{shared_hub.url}/#/playground", isDark=is_dark)
    await pages.wait("page", "text=A hub runs here")
    found["overview"] = await pages.do("check", "page")
    await pages.click("page", ".contents >> text=messages >> nth=-1")
    await pages.wait("page", "text=Indexes")
    found["table"] = await pages.do("check", "page")
    await pages.click("page", ".contents >> text=ensure")
    await pages.do("fill", "page", "input[name=externalId]", text=somebody("made"))
    await pages.click("page", "role=button[name=Call]")
    await pages.wait("page", f"{RESULT} .tree-key")
    await pages.click("page", "summary")
    for width in (1200, 390):
        await pages.do("resize", "page", width=width, height=800)
        found[f"function, {width}"] = await pages.do("check", "page")
    await pages.click("page", 'role=link[name="All functions"]')
    await pages.wait("page", ".contents")
    found["list, narrow"] = await pages.do("check", "page")

    assert not any(found.values()), found
