"""Layout of generated Python: docstrings, classes and signatures as text, the same for the same input."""

from __future__ import annotations

import keyword
from collections.abc import Iterable
from typing import Final

_WIDTH: Final = 120
_INDENT: Final = "    "
_ESCAPES: Final = str.maketrans({"\\": "\\\\", '"': '\\"'})


def docstring(text: str) -> str:
    """With its line end; nothing for no text."""
    lines = [line.rstrip() for line in text.strip().splitlines()]
    if not lines:
        return ""
    escaped = [line.translate(_ESCAPES) if '"""' in line or line.endswith('"') else line.replace("\\", "\\\\") for line in lines]
    end = "" if len(lines) == 1 else "\n"
    return '"""' + "\n".join(escaped) + end + '"""\n'


def indented(text: str) -> str:
    return "".join(f"{_INDENT}{line}" if line.strip() else line for line in text.splitlines(keepends=True))


def class_text(name: str, bases: str, members: Iterable[str]) -> str:
    """Of members that end their lines themselves."""
    return f"class {name}{f'({bases})' if bases else ''}:\n{indented(''.join(members) or 'pass' + chr(10))}"


def signature(name: str, parameters: Iterable[str], result: str) -> str:
    """Of a method whose parameters are all given by name; on one line where it fits."""
    given = list(parameters)
    line = f"def {name}({', '.join(['self', '*', *given] if given else ['self'])}) -> {result}:\n"
    if len(line) + len(_INDENT) <= _WIDTH:
        return line
    return f"def {name}(\n{indented(''.join(f'{each},{chr(10)}' for each in ('self', '*', *given)))}) -> {result}:\n"


def is_field(name: str) -> bool:
    """Whether a class may declare it: a name with two underscores in front means another one inside of a class."""
    return name.isidentifier() and not keyword.iskeyword(name) and not name.startswith("__")
