"""The composition root: Settings → store → engine → app → server. It alone knows every part.

Everything is started in the order in which it is needed and stopped in the reverse: a stop lets queued mutations finish, sends the
clients elsewhere, and only then lets go of the database.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import gc
import logging
import signal
import socket
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from hub.clock import Clock, SystemClock
from hub.codegen import files
from hub.codegen.listing import listing_text
from hub.codegen.typescript import typescript
from hub.config import Settings
from hub.errors import ConfigError
from hub.functions import loader
from hub.functions.registry import Registry
from hub.live.engine import Engine
from hub.metrics import Metrics
from hub.mongo.embedded import EmbeddedMongod, find_mongod
from hub.mongo.store import MongoStore, Timeouts
from hub.mounting import Mounted, build_mounts, read_mounts
from hub.reloading import Reloader
from hub.server import development, development_page, http, origins, page, probes, tokens
from hub.server.app import build_app
from hub.server.development import AdminKey, DevIssuer
from hub.server.origins import Access
from hub.server.probes import VERSION
from hub.server.ready_frames import DeflateContexts, protocol_class
from hub.server.tokens import Authenticator
from hub.server.websocket import Sockets
from hub.store import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Hub:
    """One hub, put together and not yet started."""

    settings: Settings
    clock: Clock
    metrics: Metrics
    store: Store
    engine: Engine
    sockets: Sockets
    app: ASGIApp


def build(
    settings: Settings,
    store: Store,
    registry: Registry,
    authenticator: Authenticator,
    access: Access,
    *,
    clock: Clock,
    metrics: Metrics,
    issuer: DevIssuer | None = None,
    mounts: Sequence[Mounted] = (),
) -> Hub:
    """With the issuer of a `hub dev` the page at `/` is the one for development, and callers hear what a crash says."""
    engine = Engine(store, registry, settings, clock=clock, metrics=metrics, shows_crashes=issuer is not None)
    sockets = Sockets(engine, authenticator, settings)
    mounted_paths = frozenset(mounted.mount.path.removeprefix("/") for mounted in mounts)
    routes = [
        *http.HttpCalls(engine, authenticator, settings, clock, metrics).routes(),
        *probes.Probes(engine, clock, metrics).routes(),
        *(mounted.route() for mounted in mounts),
        *([page.route()] if issuer is None else development_page.routes(settings, _described(engine), issuer, mounted_paths)),
    ]
    app = build_app(routes, sockets, access, metrics.refused_origins.inc)
    return Hub(settings, clock, metrics, store, engine, sockets, app)


def _described(engine: Engine) -> Callable[[], str]:
    """What is served now: a reload changes it."""
    return lambda: listing_text(engine.registry)


# --- the two ways to run it ----------------------------------------------------------------------------------------


async def run_dev(settings: Settings, *, reload: bool, codegen: Path | None = None, mount: bool = True) -> None:
    """`hub dev`: a database of its own unless one is configured, its own issuer, code reloaded on change.

    TypeScript of the code that is served is kept in the folder `codegen`.

    Returns when it was told to stop. Raises ConfigError, LoadError.
    """
    clock, metrics = SystemClock(), Metrics(VERSION)
    registry = loader.load(settings.app_dir)
    _write_types(codegen, registry)
    authenticator, made_key = tokens.for_dev(settings, clock, metrics)
    async with contextlib.AsyncExitStack() as stack:
        listener = stack.enter_context(_listening(settings))
        stop = stack.enter_context(_stop_signals())
        stack.push_async_callback(authenticator.aclose)
        mounts = build_mounts(
            read_mounts(settings.app_dir) if mount else (), hub_url=_address(listener), service_key=_service_key(settings, made_key)
        )
        url, shown = await _dev_database(settings, stack)
        store = await stack.enter_async_context(_opened(_store(settings, url, clock)))
        access = origins.for_dev(settings)
        issuer = development.open_issuer(settings.data_dir)
        hub = build(settings, store, registry, authenticator, access, clock=clock, metrics=metrics, issuer=issuer, mounts=mounts)
        for note in await store.prepare(registry.declared_tables(), drop_unused=True):
            _say(f"database: {note}")
        async with _serving(hub, listener, stop), _running(mounts), asyncio.TaskGroup() as tasks:
            if made_key is not None:
                _say(f"service key: {made_key.path}")
            if settings.listens_on_loopback:
                _say("callers without a token are trusted: this hub listens on loopback only")
            print(_ready_line(listener, shown, registry), flush=True)
            reloader = Reloader(settings.app_dir, hub.engine, store, _say, partial(_rewrite_types, codegen))
            reloading = tasks.create_task(reloader.watch()) if reload else None
            await stop.wait()
            if reloading is not None:
                reloading.cancel()


@contextlib.asynccontextmanager
async def _running(mounts: Iterable[Mounted]) -> AsyncIterator[None]:
    """They end before the hub does: what they still have to write is written."""
    async with contextlib.AsyncExitStack() as stack:
        for mounted in mounts:
            await stack.enter_async_context(mounted.running())
            _say(f"mounted: {mounted.mount}")
        yield


def _service_key(settings: Settings, made: AdminKey | None) -> str:
    if made is not None:
        return made.value
    assert settings.admin_key is not None, "one is made where none is set"
    return settings.admin_key.get_secret_value()


def _address(listener: socket.socket) -> str:
    """Where this machine reaches the hub: an address for all interfaces is none to call."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # compared, not bound
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _write_types(folder: Path | None, registry: Registry) -> None:
    """What `hub dev --codegen` does with each version of the application. Raises ConfigError."""
    if folder is not None:
        for path in files.write(folder, typescript(registry)):
            _say(f"wrote {path}")


def _rewrite_types(folder: Path | None, registry: Registry) -> None:
    """A folder that has become unusable stops no hub that is running."""
    try:
        _write_types(folder, registry)
    except ConfigError as error:
        _say(f"TypeScript is not written: {error.message}")


async def run_serve(settings: Settings) -> None:
    """`hub serve`: production. Returns when it was told to stop. Raises ConfigError, LoadError."""
    clock, metrics = SystemClock(), Metrics(VERSION)
    assert settings.mongo_url is not None, "checked with the settings"
    registry = loader.load(settings.app_dir)
    authenticator = tokens.for_serve(settings, clock, metrics)
    async with contextlib.AsyncExitStack() as stack:
        listener = stack.enter_context(_listening(settings))
        stop = stack.enter_context(_stop_signals())
        stack.push_async_callback(authenticator.aclose)
        url = settings.mongo_url.get_secret_value()
        store = await stack.enter_async_context(_opened(_store(settings, url, clock)))
        access = origins.for_serve(settings)
        hub = build(settings, store, registry, authenticator, access, clock=clock, metrics=metrics)
        for note in await store.prepare(registry.declared_tables(), drop_unused=False):
            log.info("database: %s", note)
        async with _serving(hub, listener, stop):
            print(_ready_line(listener, f"database {settings.mongo_db}", registry), flush=True)
            await stop.wait()


async def _dev_database(settings: Settings, stack: contextlib.AsyncExitStack) -> tuple[str, str]:
    """The address to use, and how to name it without its password."""
    if settings.mongo_url is not None:
        return settings.mongo_url.get_secret_value(), f"database {settings.mongo_db} of HUB_MONGO_URL"
    mongod = EmbeddedMongod(find_mongod(settings.mongod), settings.data_dir / "mongo")
    await stack.enter_async_context(mongod)
    return mongod.url, f"database {settings.mongo_db} at {mongod.url}"


def _store(settings: Settings, url: str, clock: Clock) -> MongoStore:
    timeouts = Timeouts(read_s=settings.mongo_timeout_s)
    return MongoStore(url, settings.mongo_db, driver=settings.mongo_driver, hub_id=uuid.uuid4().hex, clock=clock, timeouts=timeouts)


@contextlib.asynccontextmanager
async def _opened(store: MongoStore) -> AsyncIterator[MongoStore]:
    await store.open()
    try:
        yield store
    finally:
        await store.close()


# --- serving -------------------------------------------------------------------------------------------------------


async def _guard_against_stalls(limit_s: float) -> None:
    """End the process, with the place on stderr, when the loop stands still for this long: one call into C that never returns, or
    blocks (`time.sleep`), serves nobody and cannot be interrupted, and no signal handler runs either. Whoever runs the hub starts
    it again; what was acknowledged is safe."""
    try:
        while True:
            faulthandler.dump_traceback_later(limit_s, exit=True)
            await asyncio.sleep(limit_s / 10)
    finally:
        faulthandler.cancel_dump_traceback_later()


_COLLECT_AFTER = (5_000, 10, 20)
"""New objects before the youngest are looked at, and how often until the next older ones are. Python's 700 would be a full look for
each 70,000 objects; docs/decisions/0022 says what one takes."""


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: the hub has more to stop than a server."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def _serving(hub: Hub, listener: socket.socket, stop: _Stop) -> AsyncIterator[None]:
    """The hub answers inside this block; on the way out it finishes its mutations and sends its clients elsewhere."""
    server = _Server(uvicorn_config(hub))
    async with hub.engine.running(), asyncio.TaskGroup() as tasks:
        guard = tasks.create_task(_guard_against_stalls(hub.settings.stall_exit_s), name="stall guard")
        serving = tasks.create_task(server.serve(sockets=[listener]), name="server")
        serving.add_done_callback(stop.ask)
        while not (server.started or serving.done()):
            await hub.clock.sleep(0.005)
        _collect_seldom()
        try:
            yield
        finally:
            serving.remove_done_callback(stop.ask)  # it ends because it is told to: whatever ends this block is not to be cancelled
            await _stop_serving(hub, server)
            guard.cancel()


def _collect_seldom() -> None:
    """What is there at the start stays: no collection looks at it again.

    Reference counts free nearly everything: looking for cycles is for sessions that ended, and a full look stops everybody for as
    long as it takes to pass all that is in memory.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)


async def _stop_serving(hub: Hub, server: _Server) -> None:
    grace_s = hub.settings.drain_grace_s
    log.info("stopping")
    for listening in server.servers:
        listening.close()
    await hub.engine.drain(hub.clock.monotonic() + grace_s / 2)
    await hub.sockets.close_all(grace_s / 2)
    server.should_exit = True


def uvicorn_config(hub: Hub) -> uvicorn.Config:
    settings = hub.settings
    return uvicorn.Config(
        hub.app,
        loop="none",
        http="httptools",
        ws=protocol_class(DeflateContexts(settings.deflate_sockets_max)),
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        ws_max_size=settings.frame_max_bytes,
        ws_ping_interval=settings.socket_ping_interval_s,
        ws_ping_timeout=settings.socket_ping_timeout_s,
        timeout_graceful_shutdown=2,
        timeout_keep_alive=75,
    )


@contextlib.contextmanager
def _listening(settings: Settings) -> Iterator[socket.socket]:
    """The socket, taken before anything else is started. Raises ConfigError when it cannot be had."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((settings.host, settings.port))
        except OSError as error:
            raise ConfigError(
                f"cannot listen on {settings.host}:{settings.port}: {error.strerror}; choose another with --port or HUB_PORT"
            ) from None
        yield listener
    finally:
        listener.close()


class _Stop:
    """SIGTERM and Ctrl-C. Until the hub is `ready` they end its start; then they set the event. A second one does what it
    always does."""

    def __init__(self) -> None:
        self._asked = asyncio.Event()
        self._starting: asyncio.Task[None] | None = asyncio.current_task()

    def ask(self, _ended: object = None) -> None:
        """Called by a signal, or by the end of the server's task."""
        self._asked.set()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().remove_signal_handler(number)
        if self._starting is not None:
            self._starting.cancel()

    async def wait(self) -> None:
        """The hub is ready; until it is told to stop."""
        self._starting = None
        await self._asked.wait()


@contextlib.contextmanager
def _stop_signals() -> Iterator[_Stop]:
    stop, loop = _Stop(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.ask)
    try:
        yield stop
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def _ready_line(listener: socket.socket, database: str, registry: Registry) -> str:
    host, port = listener.getsockname()[:2]
    kinds = [function.kind for function in registry.functions.values()]
    queries, mutations = kinds.count("query"), kinds.count("mutation")
    found = f"{queries} {'query' if queries == 1 else 'queries'}, {mutations} {'mutation' if mutations == 1 else 'mutations'}"
    address = f"[{host}]" if ":" in host else host
    return f"hub is ready at http://{address}:{port} ({database}; {found}: {', '.join(sorted(registry.functions))})"


def _say(line: str) -> None:
    """To whoever watches the terminal; stdout has the ready line alone, for programs that wait for it."""
    print(line, file=sys.stderr, flush=True)
