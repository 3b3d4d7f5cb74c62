"""The real parts that tests run against: one mongod for the whole session, Node, Chromium.

`make test` runs the files side by side in workers: each has a session of its own, with its own mongod and hubs. Only the
checkout is shared, and who writes in it does so by `once`.

A part that is missing skips the tests that need it, with the reason; where CI is set it fails them instead, since a suite
that quietly tests less is worse than a red one.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import pytest
from hypothesis import HealthCheck, settings
from pymongo import MongoClient

from hub.errors import ConfigError
from hub.mongo.embedded import EmbeddedMongod, MongodBinary, find_mongod

IN_CI = bool(os.environ.get("CI"))
NODE_MAJOR = 20

# The machine may be slow and shared: what takes long is the business of each test's timeout, not of Hypothesis.
settings.register_profile("dev", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("ci" if IN_CI else "dev")


MEMORY = Path("/dev/shm")
MEMORY_BYTES = 4 * 2**30
"""Ten times what two workers were seen to use."""


def pytest_configure() -> None:
    """Temporary folders, in which the databases are, lie in memory where there is room: no test is about the disk, which every
    commit waits for. A folder from which nothing can be run will not do. `PYTEST_DEBUG_TEMPROOT` names another."""
    if MEMORY.is_dir() and not os.statvfs(MEMORY).f_flag & os.ST_NOEXEC and _free_bytes() > MEMORY_BYTES:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def _free_bytes() -> int:
    """Of the machine, as far as files may have it."""
    known = dict(line.split()[:2] for line in Path("/proc/meminfo").read_text().splitlines())
    return min(shutil.disk_usage(MEMORY).free, int(known["MemAvailable:"]) * 1024)


def missing(reason: str) -> NoReturn:
    """Ends the test: skipped on a developer's machine, failed in CI."""
    if IN_CI:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def require_node() -> str:
    """Path of a Node that is new enough for the published clients."""
    path = shutil.which("node")
    if path is None:
        missing(f"Node {NODE_MAJOR} or newer is not on PATH")
    version = subprocess.run([path, "--version"], capture_output=True, text=True, check=True, timeout=30).stdout.strip()
    if int(version.removeprefix("v").partition(".")[0]) < NODE_MAJOR:
        missing(f"Node {NODE_MAJOR} or newer is needed; {path} is {version}")
    return path


def require_chromium() -> str:
    """Path of a browser that playwright-core can drive."""
    for name in ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome"):
        if (path := shutil.which(name)) is not None:
            return path
    missing("Chromium is not on PATH")


Once: TypeAlias = Callable[[str, Callable[[], None]], None]


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """`once(name, act)`: the first worker that comes acts, the others wait for it."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # of all workers of this run

    def act_once(name: str, act: Callable[[], None]) -> None:
        with (folder / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            done = folder / f"{name}.done"
            if not done.exists():
                act()
                done.touch()

    return act_once


def install_packages(folder: Path) -> None:
    """What the folder's `package-lock.json` names, unless it is there: `make test` has installed it."""
    if (folder / "node_modules" / ".package-lock.json").exists():
        return
    npm = shutil.which("npm") or missing("npm is not on PATH")
    done = subprocess.run([npm, "ci"], cwd=folder, capture_output=True, text=True, timeout=100, check=False)
    if done.returncode != 0:
        missing(f"the npm packages of {folder} could not be installed: {done.stderr[-500:]}")


@pytest.fixture
def modules_as_before() -> Iterator[None]:
    """For tests that load applications: others import modules of the same names."""
    names = ("schema", "queries", "mutations")
    before = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in names}
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] in names]:
        del sys.modules[name]
    sys.modules.update(before)


@pytest.fixture(scope="session")
def mongod_binary() -> MongodBinary:
    """The same look-up as `hub dev`; HUB_MONGOD counts here too."""
    explicit = os.environ.get("HUB_MONGOD")
    try:
        return find_mongod(Path(explicit) if explicit else None)
    except ConfigError as exc:
        missing(exc.message)


@pytest.fixture(scope="session")
def mongo_url(mongod_binary: MongodBinary, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A replica set shared by all tests: keep to your own `database_name`, and never stop it (see `own_mongod`)."""
    server = EmbeddedMongod(mongod_binary, tmp_path_factory.mktemp("mongo"))
    with asyncio.Runner() as runner:  # a loop of its own: tests have one each
        runner.run(server.start())
        try:
            yield server.url
        finally:
            runner.run(server.stop())


@pytest.fixture(scope="session")
def _cleaner(mongo_url: str) -> Iterator[MongoClient[dict[str, Any]]]:
    with MongoClient[dict[str, Any]](mongo_url) as client:
        yield client


@pytest.fixture
def database_name(_cleaner: MongoClient[dict[str, Any]]) -> Iterator[str]:
    """A database nobody else uses, gone after the test."""
    name = f"test_{uuid.uuid4().hex[:16]}"
    yield name
    _cleaner.drop_database(name)


@pytest.fixture
async def own_mongod(mongod_binary: MongodBinary, tmp_path: Path) -> AsyncIterator[EmbeddedMongod]:
    """A server for one test alone, which may kill it: it comes back, with another `pid`, under the same `url`."""
    async with EmbeddedMongod(mongod_binary, tmp_path / "mongo") as server:
        yield server
