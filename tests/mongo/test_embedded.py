"""The embedded server against the real thing: started, stopped, killed, and in the way of another."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection

from hub.errors import ConfigError
from hub.mongo import guard
from hub.mongo.datafolder import SOCKET_PATH_LIMIT_BYTES
from hub.mongo.embedded import FLAGS, EmbeddedMongod, MongodBinary, find_mongod

A_HUB_THAT_IS_KILLED = """
import asyncio, importlib, sys
from pathlib import Path
from pymongo import AsyncMongoClient
from hub.mongo.embedded import EmbeddedMongod, MongodBinary

async def run() -> None:
    async with EmbeddedMongod(MongodBinary(Path(sys.argv[1]), "PATH"), Path(sys.argv[2])) as server:
        async with AsyncMongoClient(server.url) as client:
            await client.app.rows.insert_one({"_id": "kept"})
        print(server.pid, flush=True)
        await asyncio.Event().wait()

importlib.import_module(sys.argv[3]).run(run())
"""


def an_executable(path: Path, script: str = "exit 1") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def is_running(process: int) -> bool:
    """A zombie, which nobody may be there to reap, counts as gone."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def until_gone(process: int, within_s: float = 10.0) -> None:
    async with asyncio.timeout(within_s):
        while is_running(process):  # noqa: ASYNC110  # another process has no event to wait for
            await asyncio.sleep(0.01)


@asynccontextmanager
async def rows(server: EmbeddedMongod) -> AsyncIterator[AsyncCollection[dict[str, Any]]]:
    async with AsyncMongoClient[dict[str, Any]](server.url) as client:
        yield client.app.rows


# --- Which mongod --------------------------------------------------------------------------------------------------


def test_a_named_mongod_comes_before_the_one_on_path(tmp_path: Path) -> None:
    named, on_path = an_executable(tmp_path / "mine"), an_executable(tmp_path / "bin" / "mongod")

    assert find_mongod(named, search_path=str(on_path.parent)) == MongodBinary(
        named, "HUB_MONGOD", libcurl=find_mongod(named).libcurl
    )


def test_a_mongod_on_path_comes_before_the_one_of_the_wheel(tmp_path: Path) -> None:
    on_path = an_executable(tmp_path / "bin" / "mongod")
    an_executable(tmp_path / "site" / "fiftyone" / "db" / "bin" / "mongod")

    assert find_mongod(search_path=str(on_path.parent), packages=[str(tmp_path / "site")]) == MongodBinary(on_path, "PATH")


def test_the_wheel_is_found_with_the_libcurl_beside_it(tmp_path: Path) -> None:
    in_wheel = an_executable(tmp_path / "fiftyone" / "db" / "bin" / "mongod")
    libcurl = an_executable(tmp_path / "pycurl.libs" / "libcurl-330bcbb6.so.4.8.0")

    assert find_mongod(search_path="", packages=[str(tmp_path)]) == MongodBinary(in_wheel, "wheel", libcurl)


def test_without_any_mongod_the_message_names_the_three_ways_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        find_mongod(search_path=str(tmp_path), packages=[str(tmp_path)])

    assert all(way in caught.value.message for way in ("HUB_MONGOD", "PATH", "pip install 'hub[embedded]'"))
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("mode", [pytest.param(None, id="is not there"), pytest.param(0o644, id="may not be executed")])
def test_a_named_mongod_that_cannot_be_run_is_not_replaced_by_another(tmp_path: Path, mode: int | None) -> None:
    named = tmp_path / "mongod"
    if mode is not None:
        named.touch(mode)

    with pytest.raises(ConfigError, match=r"HUB_MONGOD names .*/mongod, which is not an executable file"):
        find_mongod(named)


# --- Start and stop ------------------------------------------------------------------------------------------------


@pytest.mark.real
async def test_it_is_a_replica_set_that_can_be_written_and_listens_on_no_port(own_mongod: EmbeddedMongod) -> None:
    async with rows(own_mongod) as collection:
        await collection.insert_one({"_id": "a"})
        hello = await collection.database.client.admin.command("hello")

    assert (hello["setName"], hello["isWritablePrimary"]) == ("rs0", True)
    assert own_mongod.pid is not None
    assert not listens_on_tcp(own_mongod.pid)
    assert os.getpgid(own_mongod.pid) != os.getpgid(0), "Ctrl-C would end it before the hub is done with it"


def listens_on_tcp(process: int) -> bool:
    sockets = {os.readlink(fd) for fd in Path(f"/proc/{process}/fd").iterdir() if fd.is_symlink()}
    listening = "0A"
    tables = [Path(f"/proc/{process}/net/{table}").read_text().splitlines()[1:] for table in ("tcp", "tcp6")]
    return any(f"socket:[{row.split()[9]}]" in sockets for table in tables for row in table if row.split()[3] == listening)


@pytest.mark.real
async def test_data_survives_a_stop_and_a_move_of_the_folder(mongod_binary: MongodBinary, tmp_path: Path) -> None:
    async with EmbeddedMongod(mongod_binary, tmp_path / "here") as server, rows(server) as collection:
        await collection.insert_one({"_id": "kept"})
        first = server.pid
    assert first is not None
    assert not is_running(first)
    (tmp_path / "here").rename(tmp_path / "there")

    async with EmbeddedMongod(mongod_binary, tmp_path / "there") as server, rows(server) as collection:
        assert await collection.find_one({}) == {"_id": "kept"}


@pytest.mark.real
async def test_a_server_that_does_not_stop_is_killed(mongod_binary: MongodBinary, tmp_path: Path) -> None:
    server = EmbeddedMongod(mongod_binary, tmp_path / "mongo", stop_timeout_s=0.2)
    await server.start()
    process = server.pid
    assert process is not None
    os.kill(process, signal.SIGSTOP)

    await server.stop()

    assert not is_running(process)
    await server.stop()  # a second time does nothing


@pytest.mark.real
async def test_a_path_too_long_for_a_socket_is_reached_by_a_short_one(mongod_binary: MongodBinary, tmp_path: Path) -> None:
    folder = tmp_path / ("deep" * 20) / ("deeper" * 10) / "mongo"

    async with EmbeddedMongod(mongod_binary, folder) as server, rows(server) as collection:
        await collection.insert_one({"_id": "a"})
        path = Path(unquote(server.url.removeprefix("mongodb://").partition("/?")[0]))
        assert len(os.fsencode(path)) <= SOCKET_PATH_LIMIT_BYTES
        link = path.parent

    assert not link.parent.exists()


@pytest.mark.real
async def test_a_libcurl_that_the_system_lacks_comes_from_the_wheel(mongod_binary: MongodBinary, tmp_path: Path) -> None:
    if mongod_binary.libcurl is None:
        pytest.skip("the pycurl wheel is not installed")
    # given what the loader says where there is none; the real server then runs on the wheel's, which comes first
    lacking = "echo 'mongod: error while loading shared libraries: libcurl.so.4: cannot open shared object file' >&2; exit 127"
    script = f'[ -e "${{LD_LIBRARY_PATH%%:*}}/libcurl.so.4" ] || {{ {lacking}; }}\nexec {mongod_binary.path} "$@"'
    binary = MongodBinary(an_executable(tmp_path / "mongod", script), "PATH", mongod_binary.libcurl)

    async with EmbeddedMongod(binary, tmp_path / "mongo") as server:
        assert mongod_binary.libcurl.name in Path(f"/proc/{server.pid}/maps").read_text()


# --- What goes wrong at the start ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "message"),
    [
        pytest.param(
            "echo 'mongod: error while loading shared libraries: libssl.so.3: cannot open shared object file' >&2; exit 127",
            r"did not start \(exit 127\): mongod: .*libssl\.so\.3.*install that library.*HUB_MONGO_URL",
            id="a library is missing",
        ),
        pytest.param(
            """echo '{"s":"I","msg":"all is well"}'; echo '{"s":"E","msg":"No space","attr":{"left":0}}'; exit 14""",
            r'did not start \(exit 14\): No space \{"left": 0\}$',
            id="it logs an error",
        ),
        pytest.param("exit 3", r"did not start \(exit 3\)$", id="it says nothing"),
    ],
)
async def test_a_server_that_does_not_start_is_quoted_in_one_line(tmp_path: Path, script: str, message: str) -> None:
    server = EmbeddedMongod(MongodBinary(an_executable(tmp_path / "mongod", script), "PATH"), tmp_path / "mongo")

    with pytest.raises(ConfigError, match=message) as caught:
        await server.start()

    assert "\n" not in caught.value.message
    assert "all is well" not in caught.value.message


async def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ConfigError, match=r"cannot use .*/file/mongo for the database: Not a directory"):
        await EmbeddedMongod(MongodBinary(Path("/bin/false"), "PATH"), tmp_path / "file" / "mongo").start()


@pytest.mark.real
async def test_a_folder_of_another_hub_is_refused_and_the_other_goes_on(
    own_mongod: EmbeddedMongod, mongod_binary: MongodBinary, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=rf"/mongo is in use by another hub \(process {os.getpid()}\)"):
        await EmbeddedMongod(mongod_binary, tmp_path / "mongo").start()

    async with rows(own_mongod) as collection:
        await collection.insert_one({"_id": "a"})


@pytest.mark.real
async def test_a_folder_of_a_mongod_started_by_hand_is_refused(mongod_binary: MongodBinary, tmp_path: Path) -> None:
    (tmp_path / "mongo" / "db").mkdir(parents=True)
    by_hand = ["./hand.sock" if flag.startswith("./") else flag for flag in FLAGS]
    command = [sys.executable, guard.__file__, "replace", str(os.getpid()), str(mongod_binary.path), *by_hand]
    with subprocess.Popen(command, cwd=tmp_path / "mongo", stdout=subprocess.DEVNULL) as other:
        try:
            async with asyncio.timeout(20):
                while not (tmp_path / "mongo" / "hand.sock").exists():  # noqa: ASYNC110  # as above
                    await asyncio.sleep(0.01)
            with pytest.raises(ConfigError, match="/mongo is in use by another mongod; stop it, or choose another data folder"):
                await EmbeddedMongod(mongod_binary, tmp_path / "mongo").start()
        finally:
            other.kill()


# --- Killed --------------------------------------------------------------------------------------------------------


@pytest.mark.real
async def test_a_killed_server_comes_back_at_once_with_its_data_under_the_same_url(own_mongod: EmbeddedMongod) -> None:
    async with rows(own_mongod) as collection:
        await collection.insert_one({"_id": 0})
        for kill in range(1, 3):
            process = own_mongod.pid
            assert process is not None
            os.kill(process, signal.SIGKILL)
            await until_gone(process)

            before = time.monotonic()
            await collection.insert_one({"_id": kill})  # the driver waits for the server and tries again

            assert time.monotonic() - before < 5
            assert own_mongod.pid not in (None, process)
        assert [row["_id"] async for row in collection.find().sort("_id")] == [0, 1, 2]


@pytest.mark.real
async def test_a_server_that_keeps_dying_is_tried_less_and_less_often_until_it_runs(
    mongod_binary: MongodBinary, tmp_path: Path
) -> None:
    obstacle, tries = tmp_path / "obstacle", tmp_path / "tries"
    script = f'[ -e {obstacle} ] && {{ date +%s.%N >> {tries}; exit 1; }}\nexec {mongod_binary.path} "$@"'
    binary = MongodBinary(an_executable(tmp_path / "mongod", script), "PATH", mongod_binary.libcurl)

    async with EmbeddedMongod(binary, tmp_path / "mongo") as server, rows(server) as collection:
        assert server.pid is not None
        obstacle.touch()
        os.kill(server.pid, signal.SIGKILL)
        async with asyncio.timeout(20):
            while not tries.exists() or len(tries.read_text().split()) < 3:  # noqa: ASYNC110  # as above
                await asyncio.sleep(0.01)
        obstacle.unlink()

        await collection.insert_one({"_id": "a"})

    first, second, third = map(float, tries.read_text().split()[:3])
    assert second - first > 0.3
    assert third - second > 0.6


@pytest.mark.real
@pytest.mark.parametrize(
    ("loop", "depth"), [pytest.param("uvloop", 0, id="uvloop, short path"), pytest.param("asyncio", 30, id="asyncio, long path")]
)
async def test_a_killed_hub_leaves_no_server_and_the_next_one_finds_the_data(
    mongod_binary: MongodBinary, tmp_path: Path, loop: str, depth: int
) -> None:
    folder = tmp_path / ("deep" * depth) / "mongo"
    temporary = tmp_path / "t"
    temporary.mkdir()
    hub = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", A_HUB_THAT_IS_KILLED, str(mongod_binary.path), str(folder), loop),
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"TMPDIR": str(temporary)},
    )
    assert hub.stdout is not None
    process = int(await hub.stdout.readline())
    assert is_running(process)

    hub.kill()
    await hub.wait()
    async with EmbeddedMongod(mongod_binary, folder) as server, rows(server) as collection:  # at once: mongod may still be dying
        assert not is_running(process)
        assert await collection.find_one({}) == {"_id": "kept"}
    assert list(temporary.iterdir()) == []


async def test_where_the_kernel_does_not_help_a_watchdog_kills_when_its_pipe_closes() -> None:
    sleeper = await asyncio.create_subprocess_exec("sleep", "60")
    watchdog = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", guard.__file__, "watch", str(sleeper.pid)), stdin=asyncio.subprocess.PIPE
    )
    assert watchdog.stdin is not None
    assert sleeper.returncode is None

    watchdog.stdin.close()

    assert await sleeper.wait() == -signal.SIGKILL
    assert await watchdog.wait() == 0
