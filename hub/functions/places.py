"""Places: file and line of the author's own code, for messages that say where."""

from __future__ import annotations

import sys
from pathlib import Path
from types import CodeType, FrameType

_HUB = str(Path(__file__).resolve().parent.parent)


def is_authors(code: CodeType) -> bool:
    """Whether the code is an application's: not the hub's, not a library's, not generated."""
    name = code.co_filename
    return not (name.startswith(("<", _HUB, sys.base_prefix + "/lib")) or "/site-packages/" in name or "/dist-packages/" in name)


def authors_line(frame: FrameType | None) -> str:
    """`file:line` of the innermost author's code at or outside the frame; "" if there is none."""
    while frame is not None:
        if is_authors(frame.f_code):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


def calling_line() -> str:
    """`file:line` of the author's code that is calling the hub right now."""
    return authors_line(sys._getframe(1))
