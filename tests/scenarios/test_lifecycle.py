"""`hub dev` as a process: ready, stopped, killed, refused; its database goes with it and its data stays."""

from __future__ import annotations

import signal
import socket
import subprocess
from pathlib import Path
from urllib.parse import quote

import pytest

from hub.mongo.embedded import MongodBinary
from tests.scenarios.conftest import converse
from tests.scenarios.hub_process import HUB, READY_S, STOP_S, HubProcess, eventually

pytestmark = pytest.mark.real
ORPHAN_S = 10.0


@pytest.fixture
def own_hub(mongod_binary: MongodBinary, tmp_path: Path) -> HubProcess:
    """A hub for one test alone, not started yet."""
    return HubProcess(tmp_path / "hub")


def test_the_ready_line_names_the_address_the_database_and_the_functions(hub: HubProcess) -> None:
    (line,) = [line for line in hub.output.splitlines() if line.startswith("hub is ready")]

    assert hub.url in line
    assert quote(str(hub.data), safe="") in line, "the address of its database, for other programs"
    assert "messages:streamUpsert" in line
    assert [hub.get("/ready"), hub.get("/health")] == [200, 200]


def test_all_data_lies_in_the_data_folder(hub: HubProcess) -> None:
    converse(hub)

    assert {entry.name for entry in hub.folder.iterdir()} == {"data", "output.txt"}  # where it was started from


def test_a_printed_token_is_accepted(hub: HubProcess) -> None:
    command = [str(HUB), "token", "ann", "--data", str(hub.data), "--claim", "role=admin", "--expires", "5m"]
    token = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()

    ensured = hub.mutation("users:ensure", {"externalId": "ann"}, token)

    assert hub.query("users:me", {}, token)["_id"] == ensured["userId"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_everything_in_time(number: signal.Signals, own_hub: HubProcess) -> None:
    with own_hub as hub:
        assert hub.mongod_pid() is not None

        hub.signal(number)

        assert hub.wait(STOP_S) in {0, 128 + number, -number}
        assert hub.mongod_pid() is None
        assert "Traceback" not in hub.output


def test_a_killed_hub_takes_its_database_along_and_loses_nothing(own_hub: HubProcess) -> None:
    with own_hub as hub:
        chat = converse(hub)
        sent = hub.mutation("messages:send", chat.message("before the crash"))

        hub.signal(signal.SIGKILL)
        hub.wait(STOP_S)
        eventually(lambda: hub.mongod_pid() is None, ORPHAN_S, "mongod is gone")

        hub.start()
        (row,) = hub.query("messages:list", chat.owned)
        assert (row["_id"], row["content"]) == (sent["userMessageId"], "before the crash")


def test_data_survives_a_restart(own_hub: HubProcess) -> None:
    with own_hub as hub:
        chat = converse(hub, "Kept")
        hub.stop()
        hub.start()

        assert [row["title"] for row in hub.query("chats:list", {"userId": chat.user_id})] == ["Kept"]


def test_a_port_in_use_is_one_clear_line(own_hub: HubProcess) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", own_hub.port))
        taken.listen()
        own_hub.launch()

        assert own_hub.wait(READY_S) != 0

    assert str(own_hub.port) in own_hub.output
    assert "Traceback" not in own_hub.output
    assert own_hub.mongod_pid() is None


def test_a_data_folder_in_use_is_refused_and_the_first_hub_goes_on(hub: HubProcess, tmp_path: Path) -> None:
    second = HubProcess(tmp_path / "second", options=["--data", str(hub.data)])
    second.launch()

    assert second.wait(READY_S) != 0

    assert "Traceback" not in second.output
    assert str(hub.data) in second.output
    assert hub.get("/ready") == 200


def test_an_application_that_does_not_load_says_why(own_hub: HubProcess, tmp_path: Path) -> None:
    broken = tmp_path / "app"
    (broken / "queries").mkdir(parents=True)
    (broken / "queries" / "rooms.py").write_text("from hub import query\n\nthis is no Python\n")
    own_hub.app = broken
    own_hub.launch()

    assert own_hub.wait(READY_S) != 0

    assert "queries/rooms.py:3:" in own_hub.output
    assert own_hub.mongod_pid() is None
