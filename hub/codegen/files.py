"""Generated files on the disk: written where they differ, and compared."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from hub.errors import ConfigError


def stale(folder: Path, texts: Mapping[str, str]) -> list[Path]:
    """The files that are not there, or not as they should be."""
    return [folder / name for name, text in sorted(texts.items()) if not _is_current(folder / name, text)]


def write(folder: Path, texts: Mapping[str, str]) -> list[Path]:
    """Write what is stale, and return it: a bundler that watches the folder sees no change where there is none.

    Each file is replaced as a whole. Raises ConfigError if that cannot be done.
    """
    changed = stale(folder, texts)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in changed:
            new = path.with_name(f".{path.name}.new")
            new.write_text(texts[path.name], encoding="utf-8", newline="\n")
            os.replace(new, path)
    except OSError as exc:
        raise ConfigError(f"{exc.filename}: {exc.strerror}") from None
    return changed


def _is_current(path: Path, text: str) -> bool:
    try:
        return path.read_bytes().replace(b"\r\n", b"\n") == text.encode()  # a checkout may have changed the line ends
    except OSError:
        return False
