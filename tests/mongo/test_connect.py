"""A database that the hub cannot work with is one clear line, without the password."""

from __future__ import annotations

import asyncio
import gc
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from hub.errors import ConfigError
from hub.mongo.connect import address, check_topology
from hub.mongo.driver import DriverName
from hub.mongo.embedded import MongodBinary
from hub.mongo.store import MongoStore, Timeouts

pytestmark = pytest.mark.real

DRIVERS: tuple[DriverName, ...] = ("pymongo", "motor")


async def refusal(url: str, driver: DriverName = "pymongo") -> str:
    store = MongoStore(url, "app", hub_id="hub-a", driver=driver, timeouts=Timeouts(open_s=1.0))
    with pytest.raises(ConfigError) as refused:
        await store.open()
    await store.close()
    assert len(refused.value.message.splitlines()) == 1
    assert "s3cret" not in refused.value.message
    return refused.value.message


@pytest.fixture
async def standalone(mongod_binary: MongodBinary, tmp_path: Path) -> AsyncIterator[str]:
    flags = ("--dbpath", str(tmp_path), "--bind_ip", "./s.sock", "--port", "0", "--nounixsocket", "--quiet")
    process = await asyncio.create_subprocess_exec(
        str(mongod_binary.path),
        *flags,
        *("--setParameter", "diagnosticDataCollectionEnabled=false"),
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    yield f"mongodb://{quote(str(tmp_path / 's.sock'), safe='')}/?directConnection=true"
    process.kill()
    await process.wait()


async def test_a_standalone_server_is_refused_with_what_to_do(standalone: str) -> None:
    message = ""
    async with asyncio.timeout(20):
        while "--replSet" not in message:  # until then it is starting
            message = await refusal(standalone)
    assert "is a standalone server" in message


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
async def test_a_server_that_is_not_there_is_refused() -> None:
    message = await refusal("mongodb://user:s3cret@127.0.0.1:1/?replicaSet=rs0")
    assert "127.0.0.1:1 cannot be reached" in message
    gc.collect()  # a client that is closed while it connects forgets its socket: here, and not in somebody else's test


@pytest.mark.parametrize("driver", DRIVERS)
async def test_a_wrong_password_is_refused(mongo_url: str, driver: DriverName) -> None:
    message = await refusal(mongo_url.replace("mongodb://", "mongodb://user:s3cret@"), driver)
    assert "refused the login" in message


@pytest.mark.parametrize(
    "url",
    [
        "mongodb://user:s3cret@@host/",
        "mongodb://user:s3cret@host:notaport/",
        "http://user:s3cret@host/",
        "mongodb://",
        "",
    ],
)
@pytest.mark.parametrize("driver", DRIVERS)
async def test_a_url_that_is_none_is_refused(url: str, driver: DriverName) -> None:
    await refusal(url, driver)


@pytest.mark.parametrize(
    ("hello", "reason"),
    [
        pytest.param({"msg": "isdbgrid"}, "sharded", id="mongos"),
        pytest.param({"isreplicaset": True}, r"rs\.initiate", id="not initiated"),
        pytest.param({}, "standalone", id="standalone"),
        pytest.param({"setName": "rs0", "secondary": True}, "not the primary", id="a secondary, directly"),
    ],
)
def test_what_a_server_says_of_itself_decides(hello: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        check_topology(hello, "mongodb://user:s3cret@db.example:27017/")
    check_topology({"setName": "rs0", "isWritablePrimary": True}, "mongodb://db.example/")


def test_an_address_is_only_the_hosts() -> None:
    assert address("mongodb://user:s3cret@a:1,b:2/app?x=y") == "a:1,b:2"
    assert address("mongodb+srv://cluster.example/?x") == "cluster.example"
    assert address("") == "(no host)"
