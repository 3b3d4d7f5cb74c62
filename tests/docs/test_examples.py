"""Every example in the documents does what the page says: Python loads and type-checks, commands print what is shown."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hub.codegen import commands
from tests.codegen.compiler import compiled
from tests.docs.conftest import Terminal
from tests.docs.pages import PAGES, REPOSITORY, Block, application, blocks, callers, matches, name_of
from tests.scenarios.js_client import NEWEST, SCRIPTS

ALL = [block for page in PAGES for block in blocks(page)]
WITH_APPLICATION = [
    page for page in PAGES if any(block.language == "python" and block.option("file") is not None for block in blocks(page))
]
WITH_TYPESCRIPT = [page for page in PAGES if any(block.language == "tsx" for block in blocks(page))]
WITH_COMMANDS = [page for page in PAGES if any(block.words[:1] == ("run",) for block in blocks(page))]
DATA = ("text", "json", "yaml", "mermaid", "ini", "toml", "console", "diff")


@pytest.mark.parametrize("block", ALL, ids=str)
def test_a_block_says_how_it_is_checked(block: Block) -> None:
    match block.language:
        case "python":
            assert block.option("file") or block.option("script")
        case "js" | "tsx":
            assert block.option("file")
        case "ts":
            assert block.words == ("output",)
        case "sh":
            assert block.words[:1] in (("run",), ("by-hand",))
        case language:
            assert language in DATA


def test_applications_of_the_documents_are_typed(tmp_path: Path) -> None:
    """All pages' applications side by side in one run: no two pages use one file name."""
    seen: dict[str, Path] = {}
    for page in WITH_APPLICATION:
        for name in {block.option("file") for block in blocks(page) if block.language == "python" and block.option("file")}:
            assert seen.setdefault(str(name), page) == page, f"{name} is in two pages"
        application(page, tmp_path)
    options = ["--strict", "--config-file=", "--explicit-package-bases", f"--cache-dir={REPOSITORY / '.mypy_cache' / 'docs'}"]
    folders = [folder for folder in ("schema", "queries", "mutations") if (tmp_path / folder).exists()]
    command = [sys.executable, "-m", "mypy", *options, *folders]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", WITH_APPLICATION, ids=name_of)
def test_the_application_of_a_page_loads(page: Path, tmp_path: Path) -> None:
    application(page, tmp_path)
    hub = Path(sys.executable).with_name("hub")
    done = subprocess.run([str(hub), "check", "--app", str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "no mistakes found" in done.stdout


@pytest.mark.real
@pytest.mark.parametrize("page", WITH_TYPESCRIPT, ids=name_of)
def test_typescript_of_a_page_compiles(page: Path, node: str, tmp_path: Path) -> None:
    application(page, tmp_path / "app")
    callers(page, tmp_path)
    (tmp_path / "node_modules").symlink_to(SCRIPTS / "node_modules")
    commands.write(tmp_path / "app", commands.typescript_in(tmp_path / "_generated"), print)
    assert compiled(node, tmp_path, tmp_path / "tsconfig.json", NEWEST) == ""


@pytest.mark.real
@pytest.mark.parametrize("page", WITH_COMMANDS, ids=name_of)
def test_commands_of_a_page_print_what_it_shows(
    page: Path, chat_terminal: Terminal, page_terminal: Callable[[Path], Terminal]
) -> None:
    """In order, as a reader would type them."""
    said: tuple[Block, str] | None = None
    for block in blocks(page):
        if block.words[:1] == ("run",):
            terminal = chat_terminal if block.words[1] == "chat" else page_terminal(page)
            said = block, terminal.run(block.text)
        elif block.words == ("output",):
            assert said is not None, f"{block}: output of nothing"
            assert matches(block.text, said[1]), f"{said[0]} printed\n{said[1]}\nand not what {block} shows\n{block.text}"
            said = None


@pytest.mark.real
def test_the_ready_line_is_what_the_readme_shows(chat_terminal: Terminal) -> None:
    (shown,) = [block for block in blocks(REPOSITORY / "README.md") if block.words == ("output", "of", "hub-dev")]
    lines = [line for line in chat_terminal.hub.output.splitlines() if line.startswith("hub is ready")]
    assert matches(chat_terminal.command(shown.text), lines[-1])
