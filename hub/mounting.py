"""Mounts: ASGI applications that `hub dev` serves beside the hub, as an application's pyproject.toml asks for.

    [tool.hub.dev]
    mount = { "/assistant" = "clients/assistant/app.py:build_app" }

Used by `hub.wiring`. Each is built once, by calling what is named with the hub's own address and its service key, and runs its
lifespan while the hub answers. `hub serve` mounts nothing: in production such a program is a service of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import importlib.util
import re
import sys
import tomllib
import traceback
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import uvicorn
from starlette.routing import Mount as Route
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.lifespan.on import LifespanOn

from hub.errors import ConfigError

_PATH: Final = re.compile(r"(/[A-Za-z0-9._~-]+)+")
_TARGET: Final = re.compile(r"(?P<file>[^:]+\.py):(?P<factory>[A-Za-z_]\w*)")
_RESERVED: Final = frozenset({"api", "dev", "health", "metrics", "page", "ready", "version"})
"""First steps of the hub's own paths."""


@dataclass(frozen=True, slots=True)
class Mount:
    """What is asked for: the application that `factory` in `file` makes, at `path`."""

    path: str
    file: Path
    factory: str

    def __str__(self) -> str:
        return f"{self.path} ({self.file}:{self.factory})"


class Mounted:
    """An application that was built. Whoever asks before its lifespan has begun waits for that."""

    def __init__(self, mount: Mount, app: ASGIApp) -> None:
        self.mount = mount
        self._app = app
        self._state: Mapping[str, Any] = {}
        self._has_started = asyncio.Event()

    def route(self) -> Route:
        return Route(self.mount.path, self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._has_started.wait()
        await self._app({**scope, "state": dict(self._state)}, receive, send)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Raises ConfigError if it does not start; what it said about that is in the log."""
        lifespan = LifespanOn(uvicorn.Config(self._app, lifespan="auto", log_config=None, ws="none"))
        await lifespan.startup()
        if lifespan.should_exit:
            raise ConfigError(f"mount {self.mount} does not start; its own message is above")
        self._state = lifespan.state
        self._has_started.set()
        try:
            yield
        finally:
            await lifespan.shutdown()


def read_mounts(app_dir: Path) -> tuple[Mount, ...]:
    """What the application asks for; nothing without a pyproject.toml. Raises ConfigError for what cannot be meant."""
    file = app_dir / "pyproject.toml"
    try:
        tree = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file}: {error}") from None
    asked = tree
    for name in ("tool", "hub", "dev"):
        asked = asked.get(name, {})
    if unknown := set(asked) - {"mount"}:
        raise ConfigError(f"{file}: [tool.hub.dev] has no setting {min(unknown)!r}; there is `mount`")
    mounts = asked.get("mount", {})
    if not isinstance(mounts, dict):
        raise ConfigError(f'{file}: mount must be a table, as in mount = {{ "/assistant" = "clients/assistant/app.py:build_app" }}')
    return tuple(_read_mount(file, path, target) for path, target in mounts.items())


def _read_mount(file: Path, path: str, target: object) -> Mount:
    where = f"{file}: mount {path!r}"
    if not _PATH.fullmatch(path):
        raise ConfigError(f"{where}: a path looks like /assistant")
    if path.split("/")[1] in _RESERVED:
        raise ConfigError(f"{where}: the hub answers there itself")
    found = _TARGET.fullmatch(target) if isinstance(target, str) else None
    if found is None:
        raise ConfigError(f"{where}: {target!r} does not look like folder/app.py:build_app")
    source = file.parent / found["file"]
    if not source.is_file():
        raise ConfigError(f"{where}: there is no file {source}")
    return Mount(path, source, found["factory"])


def build_mounts(mounts: Sequence[Mount], *, hub_url: str, service_key: str) -> tuple[Mounted, ...]:
    """Load and build each. Raises ConfigError with the place of a mistake."""
    return tuple(Mounted(mount, _build(mount, hub_url=hub_url, service_key=service_key)) for mount in mounts)


def _build(mount: Mount, **given: str) -> ASGIApp:
    try:
        module = _load(mount.file)
        factory = getattr(module, mount.factory, None)
        if not callable(factory):
            raise ConfigError(f"mount {mount}: the file has no function {mount.factory!r}")
        app = factory(**given)
    except ConfigError:
        raise
    except (Exception, SystemExit) as error:  # whatever the code of an application raises
        raise ConfigError(f"mount {mount}: {_place(mount, error)}: {type(error).__name__}: {error}") from error
    if not callable(app):
        raise ConfigError(f"mount {mount}: {mount.factory} made a {type(app).__name__}, not an ASGI application")
    made: ASGIApp = app
    return made


def _load(file: Path) -> ModuleType:
    """The module of a file; one in a folder with an `__init__.py` may import its siblings by relative imports.

    By its path, under a name of its own: nothing is put on `sys.path`, where it could hide another program's modules.
    """
    file = file.resolve()
    package = "_".join(("mounted", *(re.sub(r"\W", "_", part) for part in file.parent.parts[1:])))
    if not (file.parent / "__init__.py").is_file():
        return _executed(f"{package}_{file.stem}", file)
    _executed(package, file.parent / "__init__.py", folder=file.parent)
    return importlib.import_module(f"{package}.{file.stem}")


def _executed(name: str, file: Path, folder: Path | None = None) -> ModuleType:
    locations = None if folder is None else [str(folder)]
    spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=locations)
    assert spec is not None, "a file that ends in .py"
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # before it runs: dataclasses and relative imports look it up
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _place(mount: Mount, error: BaseException) -> str:
    """The last line in the application's own folder that the error passed through."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    folder = str(mount.file.parent.resolve())
    own = [(frame, line) for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename.startswith(folder)]
    return f"{own[-1][0].f_code.co_filename}:{own[-1][1]}" if own else str(mount.file)
