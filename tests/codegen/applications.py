"""The applications that TypeScript is generated for, the files expected of each, and the clients that are compiled with them."""

from __future__ import annotations

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
APPLICATIONS = {"chat": REPOSITORY, "constructs": REPOSITORY / "tests" / "codegen" / "application"}
CLIENTS = REPOSITORY / "tests" / "js" / "types"
EXPECTED = {
    "chat": REPOSITORY / "clients" / "js" / "web" / "src" / "_generated",
    "constructs": CLIENTS / "constructs" / "_generated",
}


def save(path: Path, text: str) -> None:
    """At once: whoever watches must not see half of it."""
    new = path.with_suffix(".new")
    new.write_text(text)
    os.replace(new, path)
