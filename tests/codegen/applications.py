"""The applications that TypeScript is generated for, and where the files are that are expected of each."""

from __future__ import annotations

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
EXPECTED = REPOSITORY / "tests" / "js" / "types"
APPLICATIONS = {"chat": REPOSITORY, "constructs": REPOSITORY / "tests" / "codegen" / "application"}


def save(path: Path, text: str) -> None:
    """At once: whoever watches must not see half of it."""
    new = path.with_suffix(".new")
    new.write_text(text)
    os.replace(new, path)
