"""The documents as data: code blocks, links, tables and headings of each Markdown page.

The words after a block's language say what the tests do with it:

    ```python file=queries/a.py      part of the page's application; several blocks of one file are joined
    ```python script=a.py, ```js file=a.mjs      a caller, run by a `sh run` block
    ```tsx file=A.tsx                compiled beside what `hub codegen` makes of the page's application
    ```sh run chat                   run against the repository's own application, `sh run page` against the page's
    ```… output                      what the block before it prints; `…` stands for anything
    ```sh by-hand, ```text output of …     not run here: says what a reader types, or is checked by a test of its own
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [
        *(REPOSITORY / name for name in ("README.md", "ARCHITECTURE.md", "CHANGELOG.md")),
        *(REPOSITORY / "docs").rglob("*.md"),
    ]
)

_FENCE = re.compile(r"^```(\S*)[ ]?(.*)$")
_INLINE = re.compile(r"`[^`\n]+`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (.+?)\s*$")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block. `words` are those after the language."""

    page: Path
    line: int
    language: str
    words: tuple[str, ...]
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(REPOSITORY)}:{self.line}"

    def option(self, name: str) -> str | None:
        """The value of `name=value`."""
        return next((word.partition("=")[2] for word in self.words if word.startswith(f"{name}=")), None)


def name_of(page: Path) -> str:
    return str(page.relative_to(REPOSITORY))


def blocks(page: Path) -> list[Block]:
    found: list[Block] = []
    opened: tuple[int, str, tuple[str, ...]] | None = None
    body: list[str] = []
    for number, line in enumerate(page.read_text().splitlines(), 1):
        fence = _FENCE.match(line)
        if opened is None and fence is not None:
            opened, body = (number, fence[1], tuple(fence[2].split())), []
        elif opened is not None and line == "```":
            found.append(Block(page, *opened, text="".join(f"{each}\n" for each in body)))
            opened = None
        elif opened is not None:
            body.append(line)
    assert opened is None, f"{page}: the last block does not end"
    return found


def prose(page: Path) -> Iterator[str]:
    """The lines outside of code blocks."""
    is_code = False
    for line in page.read_text().splitlines():
        if _FENCE.match(line):
            is_code = not is_code
        elif not is_code:
            yield line


def code_words(page: Path) -> set[str]:
    """Everything in code font in the prose."""
    return {word.strip("`") for line in prose(page) for word in _INLINE.findall(line)}


def links(page: Path) -> set[str]:
    return {target for line in prose(page) for target in _LINK.findall(_INLINE.sub("", line))}


def anchors(page: Path) -> set[str]:
    """Of the page's headings, as GitHub makes them."""
    headings = (found[1] for line in prose(page) if (found := _HEADING.match(line)))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def table_rows(page: Path, first_header: str) -> list[list[str]]:
    """Cells of every table whose first column has this header, code font removed."""
    rows: list[list[str]] = []
    is_inside = False
    for line in prose(page):
        cells = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] if line.startswith("|") else []
        if cells and cells[0] == first_header:
            is_inside = True
        elif not cells:
            is_inside = False
        elif is_inside and set(cells[0]) - set("-: "):
            rows.append(cells)
    return rows


def application(page: Path, folder: Path) -> bool:
    """Write the page's application into the folder; False if it has none."""
    parts: dict[str, list[str]] = {}
    for block in blocks(page):
        name = block.option("file")
        if block.language == "python" and name is not None:
            parts.setdefault(name, []).append(block.text)
    for name, texts in parts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n\n".join(texts))
    return bool(parts)


def callers(page: Path, folder: Path) -> None:
    """Write the page's scripts into the folder."""
    for block in blocks(page):
        name = block.option("file") if block.language in ("js", "tsx") else block.option("script")
        if name is not None:
            (folder / name).write_text(block.text)


def matches(expected: str, said: str) -> bool:
    """Whether `said` is what the page shows, where `…` stands for anything within a line, and a line of it for any lines."""
    pattern = re.escape(expected.rstrip("\n"))
    pattern = re.sub(r"(?m)^…$", "(?s:.*)", pattern).replace("…", "[^\n]*?")
    return re.fullmatch(pattern, said.rstrip("\n")) is not None
