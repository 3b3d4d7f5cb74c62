"""What `hub codegen` does: load the application, and write or compare its files. `say` shows a line to the developer.

A `Target` is what is written where: TypeScript in a folder, or one module of Python.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import watchfiles

from hub.codegen import files
from hub.codegen.python import FILE_NAME, python
from hub.codegen.typescript import typescript
from hub.errors import LoadError
from hub.functions import loader
from hub.functions.registry import Registry

_LOOK_MS: Final = 500


@dataclass(frozen=True, slots=True)
class Target:
    """The text of each file in `folder`, by its name."""

    folder: Path
    texts: Callable[[Registry], Mapping[str, str]]


def typescript_in(folder: Path) -> Target:
    return Target(folder, typescript)


def python_at(out: Path) -> Target:
    """`out` is the module's file, or the folder for it."""
    folder, name = (out.parent, out.name) if out.suffix == ".py" else (out, FILE_NAME)
    return Target(folder, lambda registry: {name: python(registry)})


def write(app_dir: Path, target: Target, say: Callable[[str], None]) -> None:
    """Raises LoadError, ConfigError."""
    for path in files.write(target.folder, target.texts(loader.load(app_dir))):
        say(str(path))


def stale(app_dir: Path, target: Target) -> list[Path]:
    """Files that `write` would write. Raises LoadError."""
    return files.stale(target.folder, target.texts(loader.load(app_dir)))


def watch(app_dir: Path, target: Target, say: Callable[[str], None], complain: Callable[[str], None]) -> None:
    """Write now, and after each change of the application; one that does not load changes nothing.

    Ends when it is interrupted. Raises ConfigError, and LoadError if there is nothing to begin with.
    """
    app_dir = app_dir.resolve()  # as changes are told
    write(app_dir, target, say)
    is_behind = True  # what changed before the first look is in no change
    for changes in _changes(app_dir):
        if changes or is_behind:
            is_behind = False
            try:
                write(app_dir, target, say)
            except LoadError as error:
                for problem in error.problems:
                    complain(problem)


def _changes(app_dir: Path) -> Iterator[set[watchfiles.main.FileChange]]:
    """Changes of the application's code as they happen, and an empty set now and then."""
    return watchfiles.watch(
        app_dir,
        watch_filter=lambda _, path: loader.is_code(app_dir, path),
        debounce=200,
        step=50,
        rust_timeout=_LOOK_MS,
        yield_on_timeout=True,
    )
