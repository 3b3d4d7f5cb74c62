"""The hub's own wire format: what a client makes of it equals what a stock client is sent, and little goes over the wire."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgpack
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hub.core.heldrow import SentRow
from hub.errors import BadRequest
from hub.protocol import json_values, msgpack_values, native
from hub.protocol.codec import write_message
from hub.protocol.content import Content
from hub.protocol.formats import JSON, MSGPACK, STOCK, WireFormat, chosen
from hub.protocol.messages import (
    AddQuery,
    CallResponse,
    Failure,
    FatalError,
    ModifyQuerySet,
    QueryChanged,
    QueryId,
    RequestId,
    Result,
    Resumed,
    ServerMessage,
    Success,
    Transition,
    Version,
)
from hub.protocol.session import Session
from hub.timestamps import Timestamp
from hub.values import Value
from tests import native_client
from tests.core.test_diff import few_values, rows
from tests.model_client import Watched
from tests.native_client import Form, NativeClient
from tests.protocol.test_json_values import any_text, json_trees, values

BOTH: Sequence[Any] = [
    pytest.param(MSGPACK, native_client.MSGPACK, id="msgpack"),
    pytest.param(JSON, native_client.JSON, id="json"),
]
Q0 = QueryId(0)


def a_result(value: Value, *log_lines: str, journal: str | None = None) -> Success:
    text = json_values.encode(value)
    return Success(text, log_lines, journal, Content(value, len(text)))


def a_change(result: Result, base: Success | None = None, resumed: Resumed | None = None) -> Transition:
    return Transition(Version(1), Version(1, 0, Timestamp(1)), (QueryChanged(Q0, result, base, resumed=resumed),))


def a_client(form: Form) -> NativeClient:
    client = NativeClient(form=form)
    client.queries[0] = Watched("", {})
    return client


def written(wire_format: WireFormat, message: ServerMessage) -> str | bytes:
    frame = wire_format.write(message)
    assert frame.size_bytes == len(frame.payload)
    return frame.payload.decode() if frame.is_text else frame.payload


def messages(count: int, **last: Value) -> list[Value]:
    rows: list[Value] = [SentRow({"_id": f"m{n}", "text": f"message {n} of a chat", "at": 1e12 + n}, 90) for n in range(count)]
    return [*rows[:-1], SentRow({**rows[-1], **last}, 90)] if last else rows  # type: ignore[dict-item]


# --- the same as the stock format ----------------------------------------------------------------------------------

results = st.one_of(
    st.builds(a_result, values | few_values | rows, st.sampled_from(["", "[LOG] 'a'"]), journal=st.sampled_from([None, "end"])),
    st.builds(a_result, rows),
    st.builds(Failure, any_text, st.just("x"), st.none() | few_values.map(json_values.encode)),
)


@settings(max_examples=150)
@given(shown=st.lists(results, min_size=1, max_size=6), form=st.sampled_from([0, 1]))
@example(shown=[a_result([1]), Failure("a", "x"), a_result([1]), a_result([1], "[LOG] 'b'"), a_result([1])], form=0)
@example(
    shown=[a_result(1, journal="a"), a_result(1, journal="b"), Failure("a", "x", journal="c"), a_result(2, journal="b")], form=0
)
def test_a_client_shows_what_a_stock_client_is_sent(shown: list[Result], form: int) -> None:
    wire_format, client = (MSGPACK, JSON)[form], a_client((native_client.MSGPACK, native_client.JSON)[form])
    session = Session(max_queries=1, max_mutations=1)
    session.receive(ModifyQuerySet(0, 1, (AddQuery(Q0, "a:b", {}, ""),)))

    for n, result in enumerate(shown):
        transition = session.advance(Timestamp(n), {Q0: result})
        if transition is not None:
            stock = json.loads(write_message(transition).payload)
            read = client.as_stock(written(wire_format, transition))
            assert _exactly(read) == _exactly(stock)
            client.queries[0].journal = read["modifications"][0]["journal"] if read["modifications"] else None


def _exactly(tree: Any) -> str:
    """Python holds True equal to 1; and a text with half a character is told with a replacement."""
    return json.dumps(tree, sort_keys=True)


@given(values, any_text)
def test_answers_say_the_same(value: Value, text: str) -> None:
    for message in (
        CallResponse("mutation", RequestId(1), replace(a_result(value, text), content=None), Timestamp(5)),
        CallResponse("action", RequestId(2), Failure(text, "x", data=json_values.encode(value), log_lines=(text,))),
        FatalError(text),
    ):
        for wire_format, form in ((MSGPACK, native_client.MSGPACK), (JSON, native_client.JSON)):
            read = NativeClient(form=form).as_stock(written(wire_format, message))
            assert _exactly(read) == _exactly(json.loads(write_message(message).payload))


# --- little goes over the wire -------------------------------------------------------------------------------------


def test_a_token_costs_itself_and_a_small_header() -> None:
    before, after = a_result(messages(20)), a_result(messages(20, text="message 19 of a chat, tok"))

    frame = written(MSGPACK, a_change(after, before))

    assert len(frame) <= len(", tok") + 52
    assert len(written(STOCK, a_change(after, before))) > 1_000


@pytest.mark.parametrize(("wire_format", "form"), BOTH)
def test_the_whole_value_is_sent_where_an_edit_is_no_smaller(wire_format: WireFormat, form: Form) -> None:
    client = a_client(form)
    before, after = a_result({"a": "x", "b": 1, "same": 1}), a_result({"a": "y", "c": 1, "d": 2, "same": 1})

    client.as_stock(written(wire_format, a_change(before)))
    client.as_stock(written(wire_format, a_change(after, before)))

    assert client.kinds == [1, 1]


@pytest.mark.parametrize(("wire_format", "form"), BOTH)
@pytest.mark.parametrize(
    ("held", "value", "kind"),
    [
        pytest.param(messages(5), messages(5), 4, id="unchanged"),
        pytest.param(messages(5), messages(6), 4, id="a little more"),
        pytest.param(messages(5), "something else", 1, id="another value"),
    ],
)
def test_who_comes_back_gets_what_changed(wire_format: WireFormat, form: Form, held: Value, value: Value, kind: int) -> None:
    client = a_client(form)
    client.kept = {0: ["older", held]}

    read = client.as_stock(written(wire_format, a_change(a_result(value), resumed=Resumed(1, Content(held, 1)))))

    assert read["modifications"][0]["value"] == json.loads(json_values.encode(value))
    assert client.kinds == [kind]


def test_an_edit_is_made_once_for_all_who_have_the_base_and_a_value_once_for_the_others() -> None:
    base, result = a_result(messages(20)), a_result(messages(21))

    edits = [MSGPACK.write(a_change(result, base)).pieces[1] for _ in range(2)]
    wholes = [MSGPACK.write(a_change(result)).pieces[1] for _ in range(2)]

    assert edits[0] is edits[1]
    assert wholes[0] is wholes[1]


def test_the_forms_kept_with_a_result_are_bounded() -> None:
    result = a_result(messages(20))
    bases = [a_result([*messages(20), n]) for n in range(2 * native.MAX_ENCODED)]

    frames = [written(MSGPACK, a_change(result, base)) for base in bases]

    assert len(result.encoded) <= native.MAX_ENCODED + 1
    assert len(frames[0]) < 60
    assert frames[-1] == written(MSGPACK, a_change(result))


def test_a_result_of_which_only_the_text_is_known_is_sent_whole() -> None:
    client = a_client(native_client.MSGPACK)

    read = client.as_stock(written(MSGPACK, a_change(Success('{"n":{"$integer":"AQAAAAAAAAA="}}'), a_result({"n": 1}))))

    assert read["modifications"][0]["value"] == {"n": {"$integer": "AQAAAAAAAAA="}}


# --- what clients send ---------------------------------------------------------------------------------------------


@given(
    st.binary(max_size=80) | json_trees.map(lambda tree: bytes(msgpack.packb(tree, unicode_errors="surrogatepass", default=str)))
)
@example(bytes(msgpack.packb([1, 2])))
@example(bytes(msgpack.packb({"type": 5})))
@example(bytes(msgpack.packb({"type": "Connect", "sessionId": b"x", "connectionCount": 1.0})))
def test_any_binary_frame_is_a_message_or_refused(payload: bytes) -> None:
    with contextlib.suppress(BadRequest):
        MSGPACK.read(payload)


def test_half_a_character_in_arguments_is_the_fault_of_that_call() -> None:
    call = {"type": "Mutation", "requestId": 0, "udfPath": "a:b", "args": [{"text": "\ud83d"}]}

    message = MSGPACK.read(msgpack.packb(call, unicode_errors="surrogatepass"))

    assert (
        getattr(message, "problem", None)
        == "the arguments cannot be read: text: the string has an unpaired surrogate (half of a character)"
    )


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param({"type": "Connect", "sessionId": "x", "connectionCount": 0, "maxObservedTimestamp": b"1234"}, id="a short ts"),
        pytest.param(
            {"type": "Connect", "sessionId": "x", "connectionCount": 0, "maxObservedTimestamp": "AAAAAAAAAAA="}, id="a text"
        ),
        pytest.param({"type": "ModifyQuerySet", "baseVersion": 0.0, "newVersion": 1, "modifications": []}, id="a float"),
        pytest.param([1], id="a list"),
        pytest.param({"type": b"Connect"}, id="bytes for a text"),
    ],
)
def test_a_malformed_message_is_refused(frame: Any) -> None:
    with pytest.raises(BadRequest):
        MSGPACK.read(msgpack.packb(frame))


@pytest.mark.parametrize(
    "held",
    [
        pytest.param("x", id="no list"),
        pytest.param([b"short"], id="a short one"),
        pytest.param(["x" * 32], id="a text"),
        pytest.param([bytes(32)] * 5, id="too many"),
    ],
)
def test_digests_are_32_bytes_and_few(held: Any) -> None:
    add = {"type": "Add", "queryId": 0, "udfPath": "a:b", "args": [{}], "held": held}

    with pytest.raises(BadRequest, match="held"):
        MSGPACK.read(msgpack.packb({"type": "ModifyQuerySet", "baseVersion": 0, "newVersion": 1, "modifications": [add]}))


@pytest.mark.parametrize(("wire_format", "payload"), [(MSGPACK, "{}"), (JSON, b"{}"), (STOCK, b"{}")])
def test_a_frame_of_the_other_kind_is_refused(wire_format: WireFormat, payload: str | bytes) -> None:
    with pytest.raises(BadRequest, match="frames of"):
        wire_format.read(payload)


def test_a_stock_client_is_not_asked_what_it_holds() -> None:
    add = {"type": "Add", "queryId": 0, "udfPath": "a:b", "args": [{}], "held": "whatever"}
    frame = {"type": "ModifyQuerySet", "baseVersion": 0, "newVersion": 1, "modifications": [add]}

    message = STOCK.read(json.dumps(frame))

    assert isinstance(message, ModifyQuerySet)
    assert message.modifications == (AddQuery(Q0, "a:b", {}, "{}"),)


@pytest.mark.parametrize(
    ("asked", "wire_format"),
    [
        ([], STOCK),
        (["something-else"], STOCK),
        (["hub.v1.msgpack", "hub.v1.json"], MSGPACK),
        (["hub.v9.cbor", "hub.v1.json", "hub.v1.msgpack"], JSON),
    ],
)
def test_the_first_known_subprotocol_is_chosen(asked: list[str], wire_format: WireFormat) -> None:
    assert chosen(asked) is wire_format


def test_a_digest_is_made_when_it_is_asked_for_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    content, made = Content([1], 3), msgpack_values.digest([1])
    first = content.digest
    monkeypatch.setattr(msgpack_values, "digest", pytest.fail)

    assert first == content.digest == made
