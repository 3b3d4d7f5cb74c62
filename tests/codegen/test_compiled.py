"""`tsc --strict` accepts a client that calls every function, and finds each mistake in another."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from hub.functions import loader
from tests.codegen.applications import APPLICATIONS, EXPECTED
from tests.scenarios.conftest import node as node  # the fixture
from tests.scenarios.js_client import SCRIPTS

OLDEST, NEWEST = "1.17.0", "1.48.0"

pytestmark = pytest.mark.real


def compiled(node: str, folder: Path, settings: Path, version: str) -> str:
    """What tsc says about the sources in the folder."""
    types = SCRIPTS / "node_modules" / f"convex-{version}" / "dist" / "esm-types" / "*" / "index.d.ts"
    config = {
        "extends": str(EXPECTED / "tsconfig.json"),
        "compilerOptions": {"paths": {"convex/*": [str(types)]}},
        "include": [str(folder)],
    }
    settings.write_text(json.dumps(config))
    tsc = SCRIPTS / "node_modules" / "typescript" / "bin" / "tsc"
    done = subprocess.run([node, tsc, "-p", settings], capture_output=True, text=True, timeout=100, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_clients_compile_and_every_marked_mistake_is_one(node: str, version: str, tmp_path: Path) -> None:
    """A mark (`@ts-expect-error`) without a mistake is an error as well."""
    assert compiled(node, EXPECTED, tmp_path / "tsconfig.json", version) == ""


def test_a_type_that_is_wrong_is_found(node: str, tmp_path: Path) -> None:
    """The expectations can fail: with a number where there is text, they do."""
    shutil.copytree(EXPECTED / "constructs", tmp_path / "constructs")
    shutil.copy(EXPECTED / "expect.ts", tmp_path)
    (tmp_path / "node_modules").symlink_to(SCRIPTS / "node_modules")
    generated = tmp_path / "constructs" / "_generated" / "types.d.ts"
    generated.write_text(generated.read_text().replace("streetName: string", "streetName: number"))

    said = compiled(node, tmp_path, tmp_path / "tsconfig.json", NEWEST)

    assert "types.ts" in said
    assert "error TS2344" in said


def test_the_client_of_the_chat_calls_every_function() -> None:
    source = (EXPECTED / "chat" / "app.tsx").read_text()
    called = set(re.findall(r"(?<!typeof )\bapi\.(\w+)\.(\w+)", source))

    assert called == {tuple(name.split(":")) for name in loader.load(APPLICATIONS["chat"]).functions}
