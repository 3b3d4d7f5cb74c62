"""`hub dev` and a developer who edits: sockets stay, queries run with the new code, mistakes are shown and change nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest

from hub.mongo.embedded import MongodBinary
from tests.scenarios.hub_process import HubProcess, eventually
from tests.scenarios.js_client import js_client

pytestmark = pytest.mark.real
NOTICED_S = 15.0


@dataclass(slots=True)
class Editor:
    """An application in a folder, as somebody edits it."""

    app: Path

    def write(self, path: str, text: str) -> None:
        place = self.app / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(dedent(text))

    def greet(self, word: str) -> None:
        self.write(
            "queries/rooms.py",
            f'''\
            from hub import QueryContext, query
            from schema.rooms import Room, rooms_by_name


            @query
            async def greet(ctx: QueryContext, name: str) -> str:
                room = await ctx.db.query(rooms_by_name, name).unique()
                return f"{word}, {{room.name if room else 'nobody'}}"
            ''',
        )


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Editor:
    editor = Editor(tmp_path_factory.mktemp("app"))
    editor.write(
        "schema/rooms.py",
        """\
        from hub import Table


        class Room(Table, name="rooms"):
            name: str


        rooms_by_name = Room.index(lambda room: (room.name,), unique=True)
        """,
    )
    editor.write(
        "mutations/rooms.py",
        """\
        from hub import MutationContext, mutation
        from schema.rooms import Room


        @mutation
        async def add(ctx: MutationContext, name: str) -> None:
            await ctx.db.insert(Room(name=name))
        """,
    )
    editor.greet("Hello")
    return editor


@pytest.fixture(scope="module")
def hub(mongod_binary: MongodBinary, editor: Editor, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with HubProcess(tmp_path_factory.mktemp("hub"), app=editor.app) as hub:
        yield hub


async def test_a_changed_function_runs_again_for_those_who_watch(node: str, hub: HubProcess, editor: Editor) -> None:
    editor.greet("Hello")
    async with js_client(node, hub.url) as client:
        client.subscribe("greeting", "rooms:greet", {"name": "kitchen"})
        await client.value("greeting", lambda text: text == "Hello, nobody")

        editor.greet("Welcome")
        await client.value("greeting", lambda text: text == "Welcome, nobody")
        await client.mutation("rooms:add", {"name": "kitchen"})

        await client.value("greeting", lambda text: text == "Welcome, kitchen")
        assert "WebSocket" not in "".join(client.errors), "the socket was lost"


async def test_a_syntax_error_is_shown_and_the_old_code_keeps_serving(node: str, hub: HubProcess, editor: Editor) -> None:
    editor.greet("Hi")
    async with js_client(node, hub.url) as client:
        client.subscribe("greeting", "rooms:greet", {"name": "cellar"})
        await client.value("greeting", lambda text: text == "Hi, nobody")
        said = len(hub.output)

        editor.write("queries/rooms.py", "from hub import query\n\n\nasync def greet(:\n")
        eventually(lambda: "queries/rooms.py:4:" in hub.output[said:], NOTICED_S, "the mistake is shown")

        assert hub.query("rooms:greet", {"name": "cellar"}) == "Hi, nobody"
        editor.greet("Fixed")
        await client.value("greeting", lambda text: text == "Fixed, nobody")


async def test_a_new_function_can_be_called_without_a_restart(node: str, hub: HubProcess, editor: Editor) -> None:
    async with js_client(node, hub.url) as client:
        client.subscribe("count", "floors:count", {})
        await client.failure("count")

        editor.write(
            "queries/floors.py",
            """\
            from hub import QueryContext, query


            @query
            async def count(ctx: QueryContext) -> int:
                return 3
            """,
        )

        assert await client.value("count") == 3
