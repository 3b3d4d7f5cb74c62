"""Loading an application: what is found, every mistake at once, and a reload that never sees old code."""

from __future__ import annotations

import importlib
import os
import re
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from hub.errors import FunctionNotFound, LoadError, Unauthorized
from hub.functions.execution import run
from hub.functions.hints import hints
from hub.functions.identity import NOBODY, SERVICE, Caller, Identity
from hub.functions.ids import IdSource
from hub.functions.limits import Limits
from hub.functions.loader import load
from hub.functions.registry import Registry
from tests.functions.rows_in_memory import NOW, Rows

pytestmark = pytest.mark.usefixtures("modules_as_before")

ADA = Caller(Identity("https://issuer", "ada"))

SCHEMA = """
    from hub import Id, Table

    class Chat(Table, name="chats"):
        user_id: Id["User"]
        title: str

    class User(Table, name="users"):
        name: str

    chats_by_user = Chat.index(lambda chat: (chat.user_id,))
"""

QUERIES = """
    from hub import Id, QueryContext, query
    from schema.tables import Chat, User, chats_by_user

    async def helper(ctx: QueryContext) -> int:
        return 1

    @query
    async def list(ctx: QueryContext, user_id: Id[User]) -> list[Chat]:
        print("listing", user_id)
        return await ctx.db.query(chats_by_user, user_id).collect()

    @query(public=True)
    async def default(ctx: QueryContext) -> str:
        return "here"
"""

MUTATIONS = """
    from __future__ import annotations
    from hub import Id, MutationContext, mutation
    from schema.tables import Chat, User

    @mutation
    async def create_chat(ctx: MutationContext, user_id: Id[User], title: str) -> Id[Chat]:
        return await ctx.db.insert(Chat(user_id=user_id, title=title))

    @mutation(internal=True, isolation="snapshot")
    async def purge(ctx: MutationContext, chat_id: Id[Chat]) -> None:
        await erase(ctx, chat_id)

    async def erase(ctx: MutationContext, chat_id: Id[Chat]) -> None:
        await ctx.db.delete(Chat, chat_id)
"""

APPLICATION = {"schema/tables.py": SCHEMA, "queries/chats.py": QUERIES, "mutations/chats.py": MUTATIONS}


def write(app_dir: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = app_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))


def loaded(app_dir: Path, **more: str) -> Registry:
    write(app_dir, APPLICATION)
    write(app_dir, {name.replace("__", "/") + ".py": text for name, text in more.items()})
    return load(app_dir)


def problems(app_dir: Path, **more: str) -> list[str]:
    with pytest.raises(LoadError) as caught:
        loaded(app_dir, **more)
    return caught.value.problems


async def call(registry: Registry, path: str, args: dict[str, object]) -> object:
    done = await run(
        registry.find(path, None, SERVICE),
        args,  # type: ignore[arg-type]  # wire values
        caller=SERVICE,
        reader=Rows(),
        now=NOW,
        journal=None,
        ids=IdSource(),
        limits=Limits(),
    )
    assert done.error is None, done.error
    return done.value, done.log_lines


def test_modules_and_functions_make_the_wire_names(tmp_path: Path) -> None:
    registry = loaded(
        tmp_path,
        queries__admin__room_stats="""
            from hub import QueryContext, query

            @query
            async def count_all(ctx: QueryContext) -> int:
                return 0
        """,
    )
    assert {name: function.kind for name, function in registry.functions.items()} == {
        "admin/roomStats:countAll": "query",
        "chats:createChat": "mutation",
        "chats:default": "query",
        "chats:list": "query",
        "chats:purge": "mutation",
    }
    assert registry.functions["chats:purge"].isolation == "snapshot"
    assert [table.name for table in registry.declared_tables()] == ["chats", "users"]


async def test_print_in_a_function_is_a_log_line_and_a_builtin_name_is_no_problem(tmp_path: Path) -> None:
    assert await call(loaded(tmp_path), "chats:list", {"userId": "u"}) == ([], ("[LOG] 'listing' 'u'",))


def test_loading_leaves_no_trace_but_the_modules(tmp_path: Path) -> None:
    path, meta_path = list(sys.path), list(sys.meta_path)
    loaded(tmp_path)
    assert (sys.path, sys.meta_path) == (path, meta_path)
    assert not list(tmp_path.rglob("__pycache__"))
    assert sys.modules["queries.chats"].__file__ == str(tmp_path / "queries" / "chats.py")


@pytest.mark.parametrize("path", ["chats", "chats:default", "chats.js", "chats.js:default"])
def test_every_form_of_a_path_finds_the_function(tmp_path: Path, path: str) -> None:
    assert loaded(tmp_path).find(path, "query", NOBODY).name == "chats:default"


def test_who_may_call_what(tmp_path: Path) -> None:
    registry = loaded(tmp_path)
    assert registry.find("chats:list", "query", ADA).name == "chats:list"
    with pytest.raises(Unauthorized, match="'chats:list' needs a verified identity"):
        registry.find("chats:list", "query", NOBODY)
    assert registry.find("chats:purge", "mutation", SERVICE).internal


@pytest.mark.parametrize(
    ("path", "component", "hint"),
    [
        ("chats:lst", None, "Did you mean 'chats:list'?"),
        ("chats:createChat", None, "It is a mutation, not a query."),
        ("chats:purge", None, "Could not find public function for 'chats:purge'."),
        ("x", None, "Could not find public function for 'x:default'."),
        ("chats:list", "billing", "This hub has no components."),
    ],
)
def test_what_cannot_be_called_is_not_found(tmp_path: Path, path: str, component: str | None, hint: str) -> None:
    with pytest.raises(FunctionNotFound, match=re.escape(hint)) as caught:
        loaded(tmp_path).find(path, "query", ADA, component)
    assert caught.value.message.startswith("Could not find public function for '")


MISTAKES = {
    "schema__broken": "from hub import Table\nclass Broken(Table, name='broken')\n    x: int\n",
    "schema__indexes": """
        from hub import Table

        class Thing(Table, name="things"):
            size: int

        things_by_size = Thing.index(lambda thing: (thing.sise,))
    """,
    "queries__uses": "from schema.broken import Broken\n",
    "queries__wrong": """
        from pydantic import BaseModel
        from hub import MutationContext, QueryContext, mutation, query
        from schema.tables import Chat

        class Plain(BaseModel):
            x: int

        @query
        def not_async(ctx: QueryContext) -> int: ...

        @query
        async def no_return(ctx: QueryContext, limit): ...

        @query
        async def no_context(limit: int) -> int: ...

        @mutation
        async def misplaced(ctx: MutationContext) -> None: ...

        @query
        async def plain(ctx: QueryContext, chat: Chat, **more: int) -> Plain: ...

        @query
        async def twice(ctx: QueryContext) -> int: ...

        @query
        async def twice(ctx: QueryContext) -> int: ...

        @query(public=True, internal=True)
        async def both(ctx: QueryContext) -> int: ...
    """,
    "mutations__wrong": """
        from hub import MutationContext, mutation

        @mutation
        async def twice(ctx: MutationContext) -> None: ...

        1 / 0
    """,
    "mutations__chat_s": """
        from hub import MutationContext, QueryContext, mutation

        @mutation
        async def wants(ctx: QueryContext) -> None: ...
    """,
    "mutations__actions": "from hub import MutationContext\nfrom hub import action\n",
}


def test_every_mistake_is_told_at_once_with_its_place(tmp_path: Path) -> None:
    assert problems(tmp_path, **MISTAKES) == [
        "mutations/actions.py:2: ImportError: this hub has no actions ('action'): it has queries and mutations",
        "mutations/chat_s.py:4: wants: its first parameter must be `ctx: MutationContext`",
        "mutations/wrong.py:7: ZeroDivisionError: division by zero",
        "queries/wrong.py:9: not_async: a query must be an `async def`",
        "queries/wrong.py:12: no_return: `limit` has no annotation",
        "queries/wrong.py:12: no_return: it has no return annotation",
        "queries/wrong.py:15: no_context: its first parameter must be `ctx: QueryContext`",
        "queries/wrong.py:18: misplaced: a mutation belongs into mutations/",
        "queries/wrong.py:21: plain: `chat` cannot be a row of Chat: take an Id, or fields",
        "queries/wrong.py:21: plain: `more` must be an ordinary parameter: arguments are passed by name",
        "queries/wrong.py:21: plain: the result: derive Plain from hub.Model, so that it has wire names",
        "queries/wrong.py:28: twice: already defined at line 25",
        "queries/wrong.py:30: both: public=True and internal=True exclude each other",
        "schema/broken.py:2: syntax error: expected ':'",
        "schema/indexes.py:7: index of Thing: Thing has no field 'sise'; did you mean 'size'?",
    ]


def test_a_module_whose_annotation_cannot_be_evaluated_is_told(tmp_path: Path) -> None:
    [told] = problems(
        tmp_path,
        queries__late="""
        from __future__ import annotations
        from hub import QueryContext, query

        @query
        async def unknown_type(ctx: QueryContext) -> Chatt: ...
    """,
    )
    assert told == "queries/late.py:5: unknown_type: an annotation cannot be read: name 'Chatt' is not defined"


def test_a_query_and_a_mutation_share_no_name(tmp_path: Path) -> None:
    [told] = problems(
        tmp_path,
        mutations__more="",
        queries__rooms="""
        from hub import QueryContext, query

        @query
        async def add_one(ctx: QueryContext) -> int: ...
    """,
        mutations__rooms="""
        from hub import MutationContext, mutation

        @mutation
        async def addOne(ctx: MutationContext) -> int: ...
    """,
    )
    assert told == "mutations/rooms.py:4: addOne: 'rooms:addOne' is already the query at queries/rooms.py:4"


def test_a_folder_without_an_application_says_so(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="no application here"):
        load(tmp_path)


async def test_a_reload_sees_an_edit_of_the_same_length_in_the_same_second(tmp_path: Path) -> None:
    assert await call(loaded(tmp_path), "chats", {}) == ("here", ())
    path = tmp_path / "queries" / "chats.py"
    before = path.stat()
    path.write_text(path.read_text().replace('"here"', '"gone"'))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert await call(load(tmp_path), "chats", {}) == ("gone", ())


async def test_old_functions_keep_running_and_their_modules_come_back_when_a_reload_fails(tmp_path: Path) -> None:
    registry = loaded(tmp_path)
    modules = {name: sys.modules[name] for name in ("schema.tables", "queries.chats")}
    problems(tmp_path, queries__chats="def broken(:\n")
    assert {name: sys.modules[name] for name in modules} == modules
    assert await call(registry, "chats", {}) == ("here", ())


def test_a_module_that_is_gone_is_forgotten(tmp_path: Path) -> None:
    loaded(tmp_path)
    (tmp_path / "mutations" / "chats.py").unlink()
    assert set(load(tmp_path).functions) == {"chats:list", "chats:default"}
    assert "mutations.chats" not in sys.modules


def test_a_table_that_both_isolations_write_is_hinted_at(tmp_path: Path) -> None:
    [hint] = hints(loaded(tmp_path))
    assert hint.startswith("chats is written by snapshot mutations (chats:purge) and serializable ones (chats:createChat)")


def test_names_of_what_the_hub_does_not_have_say_so() -> None:
    hub = importlib.import_module("hub")
    for name in ("action", "http_action", "cron", "storage"):
        with pytest.raises(ImportError, match="this hub has no"):
            getattr(hub, name)
    with pytest.raises(ImportError, match="ApplicationError"):
        _ = hub.ConvexError
    assert not hasattr(hub, "anything_else")
    assert all(hasattr(hub, name) for name in hub.__all__)
