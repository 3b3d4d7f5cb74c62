"""`tsc --strict` accepts a client that calls every function, and finds each mistake in another."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from hub.functions import loader
from tests.codegen.applications import APPLICATIONS, CLIENTS
from tests.codegen.compiler import compiled
from tests.scenarios.conftest import node as node  # the fixture
from tests.scenarios.js_client import NEWEST, SCRIPTS

OLDEST = "1.17.0"

pytestmark = pytest.mark.real


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_clients_compile_and_every_marked_mistake_is_one(node: str, version: str, tmp_path: Path) -> None:
    """A mark (`@ts-expect-error`) without a mistake is an error as well."""
    assert compiled(node, CLIENTS, tmp_path / "tsconfig.json", version) == ""


def test_a_type_that_is_wrong_is_found(node: str, tmp_path: Path) -> None:
    """The expectations can fail: with a number where there is text, they do."""
    shutil.copytree(CLIENTS / "constructs", tmp_path / "constructs")
    shutil.copy(CLIENTS / "expect.ts", tmp_path)
    (tmp_path / "node_modules").symlink_to(SCRIPTS / "node_modules")
    generated = tmp_path / "constructs" / "_generated" / "types.d.ts"
    generated.write_text(generated.read_text().replace("streetName: string", "streetName: number"))

    said = compiled(node, tmp_path, tmp_path / "tsconfig.json", NEWEST)

    assert "types.ts" in said
    assert "error TS2344" in said


def test_the_client_of_the_chat_calls_every_function() -> None:
    source = (CLIENTS / "chat" / "app.tsx").read_text()
    called = set(re.findall(r"(?<!typeof )\bapi\.(\w+)\.(\w+)", source))

    assert called == {tuple(name.split(":")) for name in loader.load(APPLICATIONS["chat"]).functions}
