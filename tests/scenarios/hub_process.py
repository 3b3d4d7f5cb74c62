"""A hub as its users start it: `hub dev` or `hub serve` as a process, on a free port, with a data folder of its own."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx

from hub.mongo.datafolder import SOCKET
from hub.server.development import open_issuer

REPOSITORY = Path(__file__).parents[2]
HUB = Path(sys.executable).with_name("hub")
READY_S = 30.0
STOP_S = 15.0
_Found = TypeVar("_Found")
_CHANCE = random.SystemRandom()

HTTP = httpx.Client(verify=False, limits=httpx.Limits(max_keepalive_connections=0))
"""For single calls, each on a connection of its own. A client for each would read certificates first: 22 ms of processor time."""


_PORTS = range(10_000, 32_000)
"""Below those that the system gives to whoever asks for any: between the choice and the start of a hub nobody is given it."""


def free_port() -> int:
    while True:
        port = _CHANCE.choice(_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def eventually(look: Callable[[], _Found | None], timeout_s: float, what: str) -> _Found:
    """What `look` finds once it finds something; for what happens in other processes and can only be polled."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = look()
        if found is not None and found is not False:
            return found
        assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {what}"
        time.sleep(0.02)


@dataclass(slots=True)
class HubProcess:
    """`with HubProcess(folder) as hub:` is ready when entered and gone, with its mongod, when left."""

    folder: Path
    app: Path = REPOSITORY
    port: int = field(default_factory=free_port)
    command: str = "dev"
    options: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def output(self) -> str:
        """Everything it said so far, on stdout and stderr."""
        path = self.folder / "output.txt"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self) -> None:
        self.launch()
        self.until_ready()

    def until_ready(self) -> None:
        """Returns when it is ready."""
        eventually(self._is_ready, READY_S, f"the hub is ready; it said:\n{self.output}")

    def launch(self) -> None:
        """Start the process, and do not wait for it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        where = ["--port", str(self.port), "--data", str(self.data), "--app", str(self.app)]
        command = [str(HUB), self.command, *where, *self.options]
        with (self.folder / "output.txt").open("ab") as output:
            self.process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def _environment(self) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("HUB_") or name == "HUB_MONGOD"}
        return {**clean, "PYTHONUNBUFFERED": "1", **self.environment}

    def _is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"the hub ended with status {self.process.returncode}:\n{self.output}"
        return self.get("/ready") == 200

    def get(self, path: str) -> int | None:
        """The status of a GET, None if nobody answers."""
        try:
            return HTTP.get(self.url + path, timeout=5).status_code
        except httpx.TransportError:
            return None

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def wait(self, timeout_s: float) -> int:
        assert self.process is not None
        return self.process.wait(timeout_s)

    def stop(self) -> None:
        """SIGTERM, and no mercy for what is left after that."""
        if self.process is None or self.process.poll() is not None:
            return
        self.signal(signal.SIGTERM)
        try:
            self.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the hub did not stop within {STOP_S:g} s:\n{self.output}") from None

    def mongod_pid(self) -> int | None:
        """The database that serves this data folder, if one is running."""
        return next((pid for pid in _running("mongod") if _runs_in(pid, self.data)), None)

    @property
    def database_url(self) -> str:
        """Where another program reaches the hub's own database; it listens on a socket in the data folder alone."""
        return f"mongodb://{quote(str(self.data / 'mongo' / SOCKET), safe='')}/hub?directConnection=true"

    def token(self, subject: str, *, expires_s: int = 3600) -> str:
        """What `hub token` prints, without a process for each."""
        return open_issuer(self.data).sign(subject, claims={}, expires_s=expires_s)

    # --- One call over HTTP, as curl would make it ---------------------------------------------------------------------

    def query(self, path: str, args: Mapping[str, Any], token: str | None = None) -> Any:
        return self._value("query", path, args, token)

    def mutation(self, path: str, args: Mapping[str, Any], token: str | None = None) -> Any:
        return self._value("mutation", path, args, token)

    def _value(self, kind: str, path: str, args: Mapping[str, Any], token: str | None) -> Any:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        reply = HTTP.post(f"{self.url}/api/{kind}", json={"path": path, "args": args}, headers=headers, timeout=30)
        body = reply.json()
        assert body.get("status") == "success", f"{path}: {reply.status_code} {body}"
        return body["value"]


def _running(name: str) -> list[int]:
    """Processes by the name of their executable; a process may end while it is looked at."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "comm").read_text().strip() == name and "Z" not in _state(entry):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def _state(entry: Path) -> str:
    return (entry / "stat").read_text().rpartition(")")[2].split()[0]


def _runs_in(pid: int, folder: Path) -> bool:
    """Whether a process works in a folder or names it in its command line."""
    try:
        place = Path(f"/proc/{pid}/cwd").resolve()
        command = Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return False
    return place.is_relative_to(folder.resolve()) or str(folder.resolve()) in command
