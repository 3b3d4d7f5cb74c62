"""The hub agrees with the test vectors of its wire format, and they are what it writes today."""

from __future__ import annotations

import json
from typing import Any

import msgpack
import pytest

from hub.core.edits import patch
from hub.protocol import json_values, msgpack_values
from hub.protocol.codec import read_message
from hub.protocol.formats import JSON, MSGPACK
from hub.protocol.messages import AddQuery, ModifyQuerySet
from hub.values import Value
from tests import native_client
from tests.model_client import Watched
from tests.native_client import Form, NativeClient, read_edit
from tests.protocol.test_json_values import alike
from tests.vectors.generate import FOLDER, files

FORMS: tuple[Form, Form] = (native_client.MSGPACK, native_client.JSON)


def vectors(name: str) -> Any:
    return json.loads((FOLDER / name).read_text())


def value(tree: Any) -> Value:
    return json_values.decode(tree)


def named(items: list[dict[str, Any]]) -> list[Any]:
    return [pytest.param(item, id=item["name"]) for item in items]


def test_the_files_are_what_the_hub_writes_today() -> None:
    fresh = files()

    assert {path.name for path in FOLDER.iterdir()} == set(fresh)
    for name, text in fresh.items():
        assert (FOLDER / name).read_text() == text, "run `python -m tests.vectors.generate`, and look at what has changed"


@pytest.mark.parametrize("vector", named(vectors("values.json")))
def test_values(vector: dict[str, Any]) -> None:
    expected = value(vector["value"])

    for packed in (vector["msgpack"], vector["canonical"], *vector.get("also", ())):
        read = msgpack_values.decode(msgpack_values.parse(bytes.fromhex(packed)))
        assert alike(_in_order(read), _in_order(expected))
        assert msgpack_values.canonical(read).hex() == vector["canonical"]
        assert msgpack_values.digest(read).hex() == vector["digest"]


def _in_order(tree: Value) -> Value:
    return msgpack_values.decode(msgpack_values.parse(msgpack_values.canonical(tree)))


@pytest.mark.parametrize("vector", named(vectors("edits.json")["edits"]))
def test_edits(vector: dict[str, Any]) -> None:
    old, new = value(vector["old"]), value(vector["new"])

    for form, edit in zip(FORMS, (msgpack.unpackb(bytes.fromhex(vector["msgpack"])), vector["edit"]), strict=True):
        assert msgpack_values.canonical(patch(old, read_edit(form, edit))) == msgpack_values.canonical(new)


@pytest.mark.parametrize("vector", named(vectors("edits.json")["refused"]))
def test_edits_of_another_value(vector: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="an edit"):
        patch(value(vector["old"]), read_edit(native_client.JSON, vector["edit"]))


@pytest.mark.parametrize("vector", named(vectors("client-messages.json")))
def test_client_messages(vector: dict[str, Any]) -> None:
    by_msgpack = MSGPACK.read(bytes.fromhex(vector["msgpack"]))
    by_json = JSON.read(json.dumps(vector["json"]))

    assert by_msgpack == by_json
    held = [item.held for item in _added(by_json)]
    assert held == [item.held for item in _added(by_msgpack)]
    if not any(held):
        assert by_json == read_message(json.dumps(vector["json"]))


def _added(message: object) -> list[AddQuery]:
    return [item for item in message.modifications if isinstance(item, AddQuery)] if isinstance(message, ModifyQuerySet) else []


@pytest.mark.parametrize("vector", named(vectors("server-messages.json")))
@pytest.mark.parametrize("form", FORMS, ids=["msgpack", "json"])
def test_server_messages(vector: dict[str, Any], form: Form) -> None:
    client = NativeClient(form=form)

    assert client.as_stock(_payload(vector, form)) == vector["stock"]


@pytest.mark.parametrize("vector", named(vectors("transitions.json")))
@pytest.mark.parametrize("form", FORMS, ids=["msgpack", "json"])
def test_transitions(vector: dict[str, Any], form: Form) -> None:
    client = NativeClient(form=form)
    modifications = [item for frame in vector["frames"] for item in frame["stock"]["modifications"]]
    for query_id in {item["queryId"] for item in modifications}:
        client.queries[query_id] = Watched("", {})
    client.kept = {n: [value(tree) for tree in vector.get("held", ())] for n in client.queries}

    for frame in vector["frames"]:
        shown = client.as_stock(_payload(frame, form))
        assert shown == frame["stock"]
        for item in shown["modifications"]:
            client.queries[item["queryId"]].journal = item.get("journal")


def _payload(vector: dict[str, Any], form: Form) -> str | bytes:
    return bytes.fromhex(vector["msgpack"]) if form is native_client.MSGPACK else json.dumps(vector["json"])
