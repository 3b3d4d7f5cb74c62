"""Reloader: serves an application's new code while its sockets stay open (`hub dev`).

Used by `hub.wiring`. Code that does not load is reported with its file and line, and the old code keeps serving.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import watchfiles

from hub.errors import HubError, LoadError
from hub.functions import loader
from hub.live.engine import Engine
from hub.store import Store

log = logging.getLogger(__name__)

FOLDERS = ("schema", "queries", "mutations")


class Reloader:
    """`say` shows a line to the developer."""

    def __init__(self, app_dir: Path, engine: Engine, store: Store, say: Callable[[str], None]) -> None:
        self._app_dir = app_dir
        self._engine = engine
        self._store = store
        self._say = say

    async def watch(self) -> None:
        """Load the application again whenever one of its files changes, until cancelled."""
        async for changes in watchfiles.awatch(self._app_dir, watch_filter=self._concerns, debounce=200, step=50):
            names = sorted({Path(path).relative_to(self._app_dir).as_posix() for _, path in changes})
            await self.reload(", ".join(names))

    def _concerns(self, change: watchfiles.Change, path: str) -> bool:
        parts = Path(path).relative_to(self._app_dir).parts
        return path.endswith(".py") and bool(parts) and parts[0] in FOLDERS

    async def reload(self, what_changed: str) -> None:
        try:
            registry = loader.load(self._app_dir)
            notes = await self._store.prepare(registry.declared_tables(), drop_unused=True)
        except LoadError as error:
            self._say(f"{what_changed} changed, but the application does not load; the old code keeps serving:")
            for problem in error.problems:
                self._say(f"  {problem}")
        except HubError as error:
            self._say(f"{what_changed} changed, but the database refuses: {error.message}; the old code keeps serving")
        else:
            self._engine.reload(registry)
            for note in notes:
                self._say(f"database: {note}")
            self._say(f"{what_changed} changed: reloaded, {len(registry.functions)} functions")
