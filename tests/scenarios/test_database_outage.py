"""mongod is killed under a running hub: sockets stay open, nothing acknowledged is lost, everything goes on within seconds."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from hub.mongo.embedded import MongodBinary
from tests.scenarios.conftest import Connect, Conversation, contents, shows
from tests.scenarios.hub_process import HubProcess, eventually

pytestmark = pytest.mark.real
BACK_S = 20.0


@pytest.fixture(scope="module")
def hub(mongod_binary: MongodBinary, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """A hub whose database may be harmed."""
    with HubProcess(tmp_path_factory.mktemp("hub")) as hub:
        yield hub


async def test_clients_stay_connected_while_the_database_is_killed(connect: Connect, hub: HubProcess, chat: Conversation) -> None:
    client = await connect()
    client.subscribe("list", "messages:list", chat.owned)
    await client.value("list")
    await client.mutation("messages:send", chat.message("before"))
    await client.value("list", shows("before"))
    killed = hub.mongod_pid()
    assert killed is not None

    os.kill(killed, signal.SIGKILL)
    call = client.start_mutation("messages:send", chat.message("meanwhile", clientMessageId="meanwhile"))
    eventually(lambda: hub.mongod_pid() not in {None, killed}, BACK_S, "mongod runs again")
    eventually(lambda: hub.get("/ready") == 200, BACK_S, "the hub is ready again")
    assert hub.get("/health") == 200

    await client.finish(call)
    await client.mutation("messages:send", chat.message("after"))
    await client.value("list", shows("before", "meanwhile", "after"))
    assert contents(await client.query("messages:list", chat.owned)) == ["before", "meanwhile", "after"]
    assert "WebSocket" not in "".join(client.errors), "the socket was lost"


async def test_health_stays_good_and_ready_says_no_while_the_database_is_away(hub: HubProcess) -> None:
    stopped = hub.mongod_pid()
    assert stopped is not None
    os.kill(stopped, signal.SIGSTOP)  # it hangs: alive, and silent
    try:
        eventually(lambda: hub.get("/ready") == 503, BACK_S, "the hub says that it is not ready")
        assert hub.get("/health") == 200
    finally:
        os.kill(stopped, signal.SIGCONT)
    eventually(lambda: hub.get("/ready") == 200, BACK_S, "the hub is ready again")
