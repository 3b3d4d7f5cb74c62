"""Starts what is compared: one mongod for all, a hub, the floors, the peer. All are gone when the block is left."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pymongo import AsyncMongoClient

from bench import chat
from bench.jobs import Contender, Places
from hub.mongo.embedded import EmbeddedMongod, find_mongod

REPOSITORY = Path(__file__).parents[1]
PEER = Path(__file__).parent / "peer"
BARE_CHATS = 200
"""As many as the floors are asked for."""
CACHE_BYTES = 2 * 1024**3
"""The lists of 10,000 rooms are held in memory at once; the setting's default is for fewer."""
READY_S = 40.0
STOP_S = 12.0


class Unavailable(Exception):
    """The peer cannot be had here, for the reason given."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(slots=True)
class Server:
    """One server process on a port of its own, with its output in a file."""

    name: str
    command: Sequence[str]
    port: int
    ready_path: str
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def output(self) -> str:
        return (self.folder / f"{self.name}.log").read_text(errors="replace")[-2_000:]

    def _launch(self) -> subprocess.Popen[bytes]:
        with (self.folder / f"{self.name}.log").open("ab") as output:
            return subprocess.Popen(
                self.command,
                cwd=self.folder,
                env={**_clean_environment(), **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    async def start(self) -> None:
        """Returns when it answers. Raises Unavailable, with its last words, if it does not."""
        self.process = self._launch()
        deadline = time.monotonic() + READY_S
        while not await asyncio.to_thread(self._answers):
            if self.process.poll() is not None or time.monotonic() > deadline:
                await self.stop()
                raise Unavailable(f"{self.name} did not start: {self.output}")
            await asyncio.sleep(0.05)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(self.url + self.ready_path, timeout=5) as reply:
                return bool(reply.status < 300)
        except urllib.error.HTTPError as error:
            return error.code == 404
        except OSError:
            return False

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    async def stop(self) -> None:
        process, self.process = self.process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.to_thread(process.wait, STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _clean_environment() -> dict[str, str]:
    """Settings of a hub in the shell are for that hub."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
    path = os.pathsep.join([str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**clean, "PYTHONPATH": path}


@dataclass(slots=True)
class Servers:
    """All of them, running. `peer` is None if it cannot be had, and `peer_problem` says why."""

    mongod: EmbeddedMongod
    hub: Server
    bare: Server
    peer: Server | None
    peer_problem: str
    service_key: str
    mongod_version: str

    @property
    def places(self) -> Places:
        assert self.mongod.pid is not None
        return Places(
            mongo_url=self.mongod.url,
            hub_url=self.hub.url,
            bare_url=self.bare.url,
            peer_url=self.peer.url if self.peer else None,
            service_key=self.service_key,
            mongod_pid=self.mongod.pid,
            hub_pid=self.hub.pid,
            bare_pid=self.bare.pid,
            peer_pid=self.peer.pid if self.peer else None,
        )

    async def restart(self, contender: Contender) -> None:
        """Its server anew, for what must be seen on a process without a past: memory, a cold start."""
        server = {"bare": self.bare, "peer": self.peer}.get(contender, self.hub)
        assert server is not None, "whoever is not there has no jobs"
        await server.restart()

    async def restart_all(self) -> None:
        for server in (self.hub, self.bare, self.peer):
            if server is not None:
                await server.restart()


@contextlib.asynccontextmanager
async def running(folder: Path, *, chats: int, with_peer: bool = True) -> AsyncIterator[Servers]:
    async with contextlib.AsyncExitStack() as stack:
        binary = find_mongod(Path(os.environ["HUB_MONGOD"]) if os.environ.get("HUB_MONGOD") else None)
        mongod = await stack.enter_async_context(EmbeddedMongod(binary, folder / "mongo"))
        key = secrets.token_hex(16)
        async with AsyncMongoClient[chat.Document](mongod.url) as client:
            await chat.index_bare(client)
            await chat.seed(client, chat.HUB_DB, chats=chats)
            await chat.seed(client, chat.BARE_DB, chats=BARE_CHATS)
            version = (await client.server_info())["version"]
        hub = await _started(stack, _hub(folder, mongod.url, key))  # it makes the indexes of its tables
        bare = await _started(stack, _bare(folder, mongod.url))
        peer, problem = None, ""
        try:
            if with_peer:
                peer = await _started(stack, await asyncio.to_thread(_peer, folder, mongod.url))
        except (Unavailable, OSError, subprocess.TimeoutExpired) as error:
            problem = str(error)
        yield Servers(mongod, hub, bare, peer, problem, key, version)


async def _started(stack: contextlib.AsyncExitStack, server: Server) -> Server:
    stack.push_async_callback(server.stop)
    await server.start()
    return server


def _hub(folder: Path, mongo_url: str, key: str) -> Server:
    port = free_port()
    environment = {
        "HUB_MONGO_URL": mongo_url,
        "HUB_MONGO_DB": chat.HUB_DB,
        "HUB_ADMIN_KEY": key,
        "HUB_AUTH_OPTIONAL": "1",
        "HUB_LOG_LEVEL": "WARNING",
        "HUB_DATA_DIR": str(folder / "hub"),
        "HUB_APP_DIR": str(REPOSITORY),
        "HUB_CACHE_MAX_BYTES": str(CACHE_BYTES),
        "HUB_PORT": str(port),
    }
    command = [sys.executable, "-c", "from hub.cli import main; main()", "serve"]
    return Server("hub", command, port, "/ready", folder, environment)


def _bare(folder: Path, mongo_url: str) -> Server:
    port = free_port()
    return Server("bare", [sys.executable, "-m", "bench.floors", str(port), mongo_url], port, "/", folder)


def _peer(folder: Path, mongo_url: str) -> Server:
    """Installed at its first use. Raises Unavailable."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise Unavailable("Node 20 or newer with npm is not installed here")
    if not (PEER / "node_modules" / ".package-lock.json").exists():
        cache = REPOSITORY / ".cache" / "npm"
        quiet = ("--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error")
        done = subprocess.run(
            [npm, "ci", "--prefix", PEER, "--cache", cache, *quiet], capture_output=True, text=True, timeout=300, check=False
        )
        if done.returncode:
            raise Unavailable(f"npm could not install parse-server: {done.stderr[-300:]}")
    port = free_port()
    url = mongo_url.replace("/?", f"/{chat.PEER_DB}?")
    return Server(
        "peer", [node, str(PEER / "server.mjs"), url, str(port)], port, "/parse/health", folder, {"NODE_ENV": "production"}
    )
