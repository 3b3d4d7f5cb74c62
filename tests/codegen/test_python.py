"""`hub codegen --python`: what it writes, what the type checker accepts and rejects of it, and that both clients run it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from mypy import api as mypy

from clients.assistant.hub_api import ChatId, api
from hub.client import AsyncHubClient, HubClient
from hub.codegen import commands
from hub.codegen.python import FILE_NAME, python
from hub.functions import loader
from tests.codegen.applications import APPLICATIONS, REPOSITORY
from tests.codegen.test_files import codegen
from tests.scenarios.conftest import hub as hub  # the fixtures
from tests.scenarios.conftest import shared_hub as shared_hub
from tests.scenarios.hub_process import HubProcess

TEXTS = {
    "chat": REPOSITORY / "clients" / "assistant" / "hub_api.py",
    "constructs": Path(__file__).parent / "generated" / "constructs_api.py",
}

PREAMBLE = """
from typing import assert_type
from hub.client import AsyncHubClient, AsyncSubscription, HubClient, Int64, Pacing, Page, Subscription, TextStream
from chat_api import Chat, ChatId, Message, MessageId, Sent, Upserted, User, UserId, api
import constructs_api as constructs
"""

ACCEPTED = """
def synchronous(client: HubClient, chat_id: ChatId) -> None:
    assert_type(client.query(api.chats.list()), list[Chat])
    assert_type(client.query(api.chats.list(limit=3), min_ts=client.last_ts), list[Chat])
    assert_type(client.query(api.users.me()), User | None)
    assert_type(client.query(api.messages.page(chatId=chat_id, paginationOpts={"numItems": 2, "cursor": None})), Page[Message])
    sent = client.mutation(api.messages.send(chatId=chat_id, userMessage={"content": "hi"}), idempotency_key="one")
    assert_type(sent, Sent)
    assert_type(sent["userMessageId"], MessageId)
    assert_type(client.mutation(api.chats.rename(chatId=chat_id, title="x", userId=None)), None)
    with client.subscribe(api.messages.list(chatId=ChatId("c"))) as states:
        assert_type(states, Subscription[list[Message]])
        for state in states:
            assert_type(state[0]["chatId"], ChatId)
    client.query("messages:list", chatId=chat_id)
    with client.stream_text(api.messages.streamUpsert(chatId=chat_id, role="assistant", status="streaming"), offset=3) as text:
        assert_type(text, TextStream[Upserted])
        assert_type(text.answer["messageId"], MessageId)

async def asynchronous(client: AsyncHubClient, chat: Chat) -> None:
    assert_type(await client.query(api.chats.get(chatId=chat["_id"])), Chat)
    assert_type(await client.mutation(api.messages.send(chatId=chat["_id"], userMessage={"content": "hi"})), Sent)
    states = client.subscribe(api.messages.list(chatId=chat["_id"]))
    assert_type(states, AsyncSubscription[list[Message]])
    assert_type([state async for state in states], list[list[Message]])
    async with client.stream_text("messages:streamUpsert", {"chatId": chat["_id"]}, pacing=Pacing(interval_s=0.1)) as text:
        assert_type(await text.write("x"), None)
    summary = await client.query(constructs.api.things.summary())
    assert_type(summary["thingCount"], float)
    await client.mutation(constructs.internal.admin.remove(thingId=constructs.ThingId("t")))
    await client.mutation(constructs.api.admin.reports(thingId=constructs.ThingId("t")))
"""

REJECTED = """
def calls(client: HubClient, other: AsyncHubClient, chat_id: ChatId, user_id: UserId) -> None:
    client.query(api.chats.rename(chatId=chat_id, title="x"))  # call-overload
    client.mutation(api.chats.list())  # call-overload
    client.subscribe(api.chats.rename(chatId=chat_id, title="x"))  # call-overload
    client.stream_text(api.chats.list())  # call-overload
    client.query(api.chats.list(), {"limit": 3})  # call-overload
    client.query(api.chats.list(), limit=3)  # call-overload
    client.query(api.chats.list(), idempotency_key="x")  # call-overload
    other.query(api.chats.rename(chatId=chat_id, title="x"))  # call-overload
    api.messages.list()  # call-arg
    api.messages.list(chatId=user_id)  # arg-type
    api.messages.list(chatId="a text")  # arg-type
    api.messages.list(chatId=chat_id, limit=1.5)  # arg-type
    api.messages.list(chatId=chat_id, limit=None)  # arg-type
    api.messages.list(chat_id=chat_id)  # call-arg
    api.messages.page(chatId=chat_id, paginationOpts={"numItems": 2, "cursor": None}, order="up")  # arg-type
    api.messages.page(chatId=chat_id, paginationOpts={"cursor": None})  # typeddict-item
    api.messages.send(chatId=chat_id, userMessage={"content": 1})  # typeddict-item
    api.messages.send(chatId=chat_id, userMessage={"content": "hi", "status": "new"})  # typeddict-unknown-key
    api.messages.vanish(chatId=chat_id)  # attr-defined
    client.query(api.chats.get(chatId=chat_id))["name"]  # typeddict-item
    constructs.api.admin.remove  # attr-defined

def results(client: HubClient, chat_id: ChatId) -> int:
    state: list[str] = client.query(api.messages.list(chatId=chat_id))  # arg-type
    return client.mutation(api.chats.remove(chatId=chat_id))["removed"]  # return-value
"""


def checked(source: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What `mypy --strict` says about code beside the generated modules."""
    for name, path in TEXTS.items():
        (folder / f"{name}_api.py").write_text(path.read_text())
    file = folder / "calls.py"
    file.write_text(PREAMBLE + source)
    monkeypatch.setenv("MYPYPATH", str(folder))
    said, complaint, _ = mypy.run(
        ["--strict", "--config-file=", "--no-error-summary", "--cache-dir", str(folder / "cache"), str(file)]
    )
    return said + complaint


def test_right_calls_are_accepted_with_the_types_of_their_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert checked(ACCEPTED, tmp_path, monkeypatch) == ""


def test_every_wrong_call_is_rejected_where_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = checked(REJECTED, tmp_path, monkeypatch)

    lines = (PREAMBLE + REJECTED).splitlines()
    expected = {(number, line.rpartition("# ")[2]) for number, line in enumerate(lines, 1) if "  # " in line}
    assert {
        (int(line), code) for line, code in re.findall(r"calls\.py:(\d+): error: .*\[([\w-]+)\]$", said, re.MULTILINE)
    } == expected


@pytest.mark.parametrize("name", APPLICATIONS)
def test_the_module_is_the_one_that_is_expected(name: str) -> None:
    """Which is meant to be read; `hub codegen --python --app … --out …` with that file writes it anew."""
    assert python(loader.load(APPLICATIONS[name])) == TEXTS[name].read_text()


@pytest.mark.parametrize("seed", ["1", "2"])
def test_another_process_writes_the_same_module(seed: str, tmp_path: Path) -> None:
    out = tmp_path / "services" / "constructs_api.py"

    done = codegen("--python", "--app", APPLICATIONS["constructs"], "--out", out, cwd=tmp_path, PYTHONHASHSEED=seed)

    assert (done.returncode, done.stdout) == (0, f"{out}\n"), done.stderr
    assert out.read_bytes() == TEXTS["constructs"].read_bytes()


def test_a_check_of_a_folder_names_the_module_that_is_not_current(app: Path, tmp_path: Path) -> None:
    codegen("--python", "--app", app, "--out", "out", cwd=tmp_path)
    good = codegen("--python", "--app", app, "--out", "out", "--check", cwd=tmp_path)
    (tmp_path / "out" / FILE_NAME).write_text("# mine")
    stale = codegen("--python", "--app", app, "--out", "out", "--check", cwd=tmp_path)

    assert (good.returncode, good.stderr) == (0, "")
    assert stale.returncode == 1
    assert stale.stderr == "hub: not current: out/hub_api.py; `hub codegen --python --out out` writes them\n"
    assert (tmp_path / "out" / FILE_NAME).read_text() == "# mine"


AWKWARD = '''
from pydantic import Field
from hub import Model, QueryContext, query

class list(Model):
    """Ends with a "quote" """
    class_: str
    dashed: int = Field(alias="with-dash")
    """A \\\\ backslash and a \\"\\"\\"."""
    inside: "list | None" = None

class Query(Model, extra="allow"):
    known: int

@query
async def bool(ctx: QueryContext, import_: str, self_: bool = True) -> list:
    """Ends with a backslash \\\\"""

@query(public=True)
async def open(ctx: QueryContext, given: Query) -> Query: ...
'''


def test_names_that_mean_something_else_are_kept_apart(tmp_path: Path) -> None:
    (tmp_path / "queries").mkdir()
    (tmp_path / "queries" / "awkward.py").write_text(AWKWARD)
    module = tmp_path / "awkward_api.py"
    commands.write(tmp_path, commands.python_at(module), print)
    calls = tmp_path / "calls.py"
    calls.write_text(
        "import builtins\n"
        "from hub.client import Query\n"
        "import awkward_api as a\n"
        "from typing import assert_type\n"
        "assert_type(a.api.awkward.bool(import_='x', self_=False), Query[a.List])\n"
        "assert_type(a.api.awkward.open(given_={'known': 1, 'more': 2}), Query[a.AwkwardQuery])\n"
        "assert a.api.awkward.bool(import_='x', self_=False).args == {'import': 'x', 'self': False}\n"
        "def of(row: a.List) -> float: return row['with-dash']\n"
    )

    said, _, _ = mypy.run(["--strict", "--config-file=", "--no-error-summary", "--cache-dir", str(tmp_path / "cache"), str(calls)])

    assert said == ""
    assert run(calls) == ""


def run(script: Path) -> str:
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=False)
    return done.stderr


@pytest.mark.real
async def test_both_clients_make_the_calls(hub: HubProcess) -> None:
    """The plain names of the arguments, and what is left out, are as the hub wants them."""
    with HubClient(hub.url) as client:
        user = client.mutation(api.users.ensure(externalId="typed", name="Ada"))
        made = client.mutation(api.chats.create(title="Typed", userId=user["userId"]))
        sent = client.mutation(
            api.messages.send(chatId=made["chatId"], userMessage={"content": "one"}, userId=user["userId"]), idempotency_key="typed"
        )
        rows = client.query(api.messages.list(chatId=made["chatId"], userId=user["userId"], limit=5))
        with client.subscribe(api.chats.list(userId=user["userId"])) as states:
            first = next(states)
    async with AsyncHubClient(hub.url) as other:
        page = await other.query(
            api.messages.page(chatId=made["chatId"], userId=user["userId"], paginationOpts={"numItems": 2, "cursor": None})
        )
        async with other.subscribe(api.messages.list(chatId=ChatId(made["chatId"]), userId=user["userId"])) as live:
            shown = await anext(live)

    assert [row["_id"] for row in rows] == [sent["userMessageId"]] == [row["_id"] for row in page["page"]]
    assert first[0]["title"] == "Typed"
    assert shown == rows
