"""The command line, as a process: answers on stdout, mistakes in plain lines on stderr, exit status for scripts."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jwt
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from hub import starter
from hub.server import development
from tests.server.support import serving

HUB = Path(sys.executable).with_name("hub")


def hub(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
    return subprocess.run(
        [HUB, *arguments], cwd=cwd, env={**clean, **environment}, capture_output=True, text=True, timeout=60, check=False
    )


def mistake(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The lines that a mistake is told in."""
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()


def test_help_names_every_command(tmp_path: Path) -> None:
    done = hub("--help", cwd=tmp_path)

    assert done.returncode == 0
    assert all(f"\n  {name} " in done.stdout for name in ("dev", "serve", "check", "codegen", "init", "token", "health"))


def test_a_token_is_all_that_is_printed_and_the_hub_of_that_directory_made_it(tmp_path: Path) -> None:
    done = hub("token", "alice", "--data", "d", "--claim", "email=a=b", "--claim", "roles:=[1]", "--expires", "90s", cwd=tmp_path)

    (printed,) = done.stdout.splitlines()
    key = development.open_issuer(tmp_path / "d").public_keys().find("EdDSA", "dev")
    assert key is not None
    claims: dict[str, Any] = jwt.decode(printed, key, audience=development.AUDIENCE)
    assert (claims["sub"], claims["email"], claims["roles"], claims["exp"] - claims["iat"]) == ("alice", "a=b", [1], 90)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--expires", "1y"], "hub: --expires '1y': must be a time like 90s, 30m, 1h or 7d, up to 366d"),
        (["--expires", "0"], "hub: --expires '0': must be a time like 90s, 30m, 1h or 7d, up to 366d"),
        (["--claim", "email"], "hub: --claim 'email': must be name=value"),
        (["--claim", "roles:=["], "hub: --claim 'roles:=[': what follows := must be JSON"),
    ],
)
def test_a_token_that_cannot_be_made_is_one_line_and_leaves_nothing(tmp_path: Path, arguments: list[str], expected: str) -> None:
    assert mistake(hub("token", "alice", *arguments, cwd=tmp_path)) == [expected]
    assert list(tmp_path.iterdir()) == []


def test_production_without_its_settings_says_what_is_missing(tmp_path: Path) -> None:
    database, identity = mistake(hub("serve", cwd=tmp_path))

    assert database.startswith("hub: HUB_MONGO_URL is not set")
    assert identity.startswith("hub: no identity is configured")


def test_a_bad_setting_is_one_line_whatever_the_command(tmp_path: Path) -> None:
    for command in ("dev", "serve", "health"):
        (line,) = mistake(hub(command, cwd=tmp_path, HUB_PORT="http"))
        assert line.startswith("hub: HUB_PORT=http: ")


def test_an_unknown_setting_is_a_warning_with_the_nearest_name(tmp_path: Path) -> None:
    done = hub("serve", cwd=tmp_path, HUB_MONGO_URI="mongodb://x")

    assert "HUB_MONGO_URI is not a setting of the hub; did you mean HUB_MONGO_URL?" in done.stderr


def test_init_writes_an_application_that_check_finds_no_mistake_in(tmp_path: Path) -> None:
    made = hub("init", "notes", cwd=tmp_path)
    checked = hub("check", "--app", "notes", cwd=tmp_path)

    assert made.returncode == 0, made.stderr
    assert {
        str(file.relative_to(tmp_path / "notes")) for file in (tmp_path / "notes").rglob("*") if file.suffix in (".py", ".md")
    } == {name for name in starter.FILES if name.endswith((".py", ".md"))}
    assert (checked.returncode, checked.stdout) == (0, "2 functions, 1 table: no mistakes found\n"), checked.stderr


def test_init_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "mine").write_text("mine")

    assert mistake(hub("init", "app", cwd=tmp_path)) == ["hub: app is not empty; hub init writes into a folder of its own"]
    assert [file.name for file in (tmp_path / "app").iterdir()] == ["mine"]


def test_check_reports_every_mistake_at_once_with_its_place(tmp_path: Path) -> None:
    starter.write(tmp_path)
    (tmp_path / "queries" / "broken.py").write_text("def f(:\n")
    (tmp_path / "mutations" / "other.py").write_text("import nothing_of_that_name\n")

    lines = mistake(hub("check", "--app", ".", cwd=tmp_path))

    assert any("queries/broken.py:1" in line for line in lines)
    assert any("mutations/other.py:1" in line for line in lines)


def test_check_warns_of_tables_that_both_kinds_of_mutations_write(tmp_path: Path) -> None:
    starter.write(tmp_path)
    (tmp_path / "mutations" / "fast.py").write_text(
        "from hub import MutationContext, mutation\n"
        "from schema.notes import Note\n\n\n"
        '@mutation(isolation="snapshot")\n'
        "async def add(ctx: MutationContext, text: str) -> None:\n"
        '    await ctx.db.insert(Note(room="a", text=text))\n'
    )

    checked = hub("check", "--app", ".", cwd=tmp_path)

    assert checked.returncode == 0
    assert "warning: notes is written by snapshot mutations (fast:add) and serializable ones (notes:add)" in checked.stdout


async def test_health_is_an_exit_status_for_containers(tmp_path: Path) -> None:
    async def well(request: Request) -> Response:
        return PlainTextResponse("well")

    async def not_ready(request: Request) -> Response:
        return PlainTextResponse("not ready", 503)

    async with serving(Starlette(routes=[Route("/health", well), Route("/ready", not_ready)])) as address:
        port = address.rsplit(":", 1)[1]
        alive = await asyncio.to_thread(hub, "health", cwd=tmp_path, HUB_HOST="0.0.0.0", HUB_PORT=port)
        ready = await asyncio.to_thread(hub, "health", "--ready", "--url", address, cwd=tmp_path)
    gone = hub("health", "--url", address, cwd=tmp_path)

    assert (alive.returncode, alive.stdout) == (0, "well\n")
    assert (ready.returncode, ready.stdout) == (1, "not ready\n")
    assert (gone.returncode, gone.stdout) == (1, "")
    assert gone.stderr.startswith(f"{address}/health: ")
