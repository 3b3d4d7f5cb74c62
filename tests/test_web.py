"""What `hub/web` holds is the build of `clients/js/web`."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.scenarios.conftest import node as node  # the fixtures
from tests.scenarios.pages import web as web

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "clients" / "js" / "web"
SHIPPED = ROOT / "hub" / "web"
BUILD = "`npm run build` in clients/js/web makes it anew"


def run(*command: str | Path) -> str:
    """What a program of `clients/js/web` complains about."""
    done = subprocess.run(command, cwd=SOURCE, capture_output=True, text=True, timeout=100, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.real
def test_what_is_shipped_is_the_build_of_the_source(node: str, web: None, tmp_path: Path) -> None:
    built = tmp_path / "web"

    assert run(node, "node_modules/vite/bin/vite.js", "build", "--outDir", built) == ""

    made, shipped = files(built), files(SHIPPED)
    assert made.keys() == shipped.keys(), BUILD
    assert [name for name, content in made.items() if content != shipped[name]] == [], BUILD


@pytest.mark.real
def test_the_source_of_the_page_is_typed(node: str, web: None) -> None:
    assert run(node, "node_modules/typescript/bin/tsc") == ""


@pytest.mark.real
def test_the_playground_reads_arguments_and_tells_changes(node: str, web: None) -> None:
    assert run(node, "--test", ROOT / "tests" / "js" / "web") == ""


def test_every_package_of_the_page_is_pinned() -> None:
    """What is built depends on nothing but the repository: a lock alone would let `npm install` move it."""
    lock = (SOURCE / "package-lock.json").read_text()
    pinned = re.findall(r'"(?:dependencies|devDependencies)": \{(.*?)\}', (SOURCE / "package.json").read_text(), re.DOTALL)

    versions = re.findall(r'": "([^"]+)"', "".join(pinned))
    assert versions
    assert all(re.fullmatch(r"\d+\.\d+\.\d+|file:\.\.", version) for version in versions)
    assert "resolved" not in lock.replace('"resolved": ".."', "")


def test_the_page_is_of_a_size_that_is_known() -> None:
    """Uncompressed; a change beyond this is to be meant."""
    assert sum(map(len, files(SHIPPED).values())) < 600_000
