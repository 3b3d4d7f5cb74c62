from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hub.errors import BadRequest
from hub.protocol.codec import read_message, result_fragment, write_message
from hub.protocol.messages import (
    AddQuery,
    Authenticate,
    AuthError,
    Call,
    CallResponse,
    Connect,
    Event,
    Failure,
    FatalError,
    ModifyQuerySet,
    Ping,
    QueryChanged,
    QueryId,
    QueryRemoved,
    RemoveQuery,
    RequestId,
    ServerMessage,
    Success,
    Transition,
    Version,
)
from hub.protocol.requests import body_key, canonical_path
from hub.timestamps import Timestamp, decode
from tests.protocol.test_json_values import any_text, json_trees

# Frames of real clients, as captured: npm 1.48.0 and PyPI 0.8.1.
CONNECT = (
    '{"connectionCount":0,"lastCloseReason":"InitialConnect","clientTs":1795423449702,"type":"Connect",'
    '"sessionId":"c6c64edc-cf2f-44d8-a64d-277b64a979ce"}'
)
RECONNECT = (
    '{"connectionCount":1,"lastCloseReason":"closed with code 1006","clientTs":1795423506212,"type":"Connect",'
    '"sessionId":"ce10f753-9537-452f-bc46-f8a124f04e1c","maxObservedTimestamp":"AJaDQCqg6hg="}'
)
PYTHON_CONNECT = (
    '{"type":"Connect","sessionId":"8eb5607c-994a-4c7a-b238-1ffa299ffcee","connectionCount":0,'
    '"lastCloseReason":"InitialConnect","clientTs":0}'
)
EMPTY_QUERY_SET = '{"type":"ModifyQuerySet","baseVersion":0,"newVersion":1,"modifications":[]}'
ADD = (
    '{"type":"ModifyQuerySet","baseVersion":1,"newVersion":2,"modifications":[{"type":"Add","queryId":0,'
    '"udfPath":"messages:list","args":[{"chatId":"c0000026gk7ovm0","userId":"u000001p27vpl2b"}]}]}'
)
REMOVE = '{"type":"ModifyQuerySet","baseVersion":4,"newVersion":5,"modifications":[{"type":"Remove","queryId":2}]}'
QUERIES_AGAIN = (
    '{"type":"ModifyQuerySet","baseVersion":0,"newVersion":1,"modifications":[{"type":"Add","queryId":0,'
    '"udfPath":"messages:list","args":[{"chatId":"c000002044fd83p","paginationOpts":{"cursor":null,"id":1,"numItems":3},'
    '"userId":"u000001vneyk05y"}],"journal":"{\\"endCursor\\":\\"3\\"}"},{"type":"Add","queryId":1,"udfPath":"chats:list",'
    '"args":[{"userId":"u000001vneyk05y"}],"journal":null}]}'
)
PYTHON_QUERY = (
    '{"modifications":[{"args":[{"f":1.0,"g":1.5,"h":[1.0,2.0],"s":"x"}],"type":"Add","queryId":0,"udfPath":"a:b"}],'
    '"type":"ModifyQuerySet","baseVersion":0,"newVersion":1}'
)
MUTATION = (
    '{"type":"Mutation","requestId":2,"udfPath":"messages:send","args":[{"chatId":"c0000026gk7ovm0",'
    '"userId":"u000001p27vpl2b","userMessage":{"clientMessageId":"cm1","content":"hi"}}]}'
)
ACTION = '{"type":"Action","requestId":5,"udfPath":"debug:act","args":[{"x":1}]}'
AUTH_USER = '{"type":"Authenticate","baseVersion":0,"tokenType":"User","value":"e30.eyJpYXQiOjE3OTU0MjM3MjB9.sig"}'
AUTH_ADMIN = (
    '{"type":"Authenticate","baseVersion":0,"tokenType":"Admin","value":"adminkey",'
    '"impersonating":{"subject":"s","issuer":"i","tokenIdentifier":"i|s","name":"n"}}'
)
AUTH_NONE = '{"type":"Authenticate","tokenType":"None","baseVersion":1}'
EVENT = '{"type":"Event","eventType":"NetworkRecoveryReconnect","event":{"timeSavedMs":2913.420732801345}}'
REAL_FRAMES = [
    CONNECT,
    RECONNECT,
    PYTHON_CONNECT,
    EMPTY_QUERY_SET,
    ADD,
    REMOVE,
    QUERIES_AGAIN,
    PYTHON_QUERY,
    MUTATION,
    ACTION,
    AUTH_USER,
    AUTH_ADMIN,
    AUTH_NONE,
    EVENT,
]


def an_add(path: str, key: str, args: Any, query_id: int = 0, journal: str | None = None) -> AddQuery:
    return AddQuery(QueryId(query_id), path, args, key, journal)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        pytest.param(CONNECT, Connect("c6c64edc-cf2f-44d8-a64d-277b64a979ce", 0, "InitialConnect"), id="first Connect"),
        pytest.param(
            RECONNECT,
            Connect("ce10f753-9537-452f-bc46-f8a124f04e1c", 1, "closed with code 1006", decode("AJaDQCqg6hg=")),
            id="Connect after a cut",
        ),
        pytest.param(PYTHON_CONNECT, Connect("8eb5607c-994a-4c7a-b238-1ffa299ffcee", 0, "InitialConnect"), id="Python's"),
        pytest.param(EMPTY_QUERY_SET, ModifyQuerySet(0, 1, ()), id="empty query set"),
        pytest.param(
            ADD,
            ModifyQuerySet(
                1,
                2,
                (
                    an_add(
                        "messages:list",
                        '{"chatId":"c0000026gk7ovm0","userId":"u000001p27vpl2b"}',
                        {"chatId": "c0000026gk7ovm0", "userId": "u000001p27vpl2b"},
                    ),
                ),
            ),
            id="a query",
        ),
        pytest.param(REMOVE, ModifyQuerySet(4, 5, (RemoveQuery(QueryId(2)),)), id="a query goes"),
        pytest.param(
            QUERIES_AGAIN,
            ModifyQuerySet(
                0,
                1,
                (
                    an_add(
                        "messages:list",
                        '{"chatId":"c000002044fd83p","paginationOpts":{"cursor":null,"id":1.0,"numItems":3.0},'
                        '"userId":"u000001vneyk05y"}',
                        {
                            "chatId": "c000002044fd83p",
                            "paginationOpts": {"cursor": None, "id": 1.0, "numItems": 3.0},
                            "userId": "u000001vneyk05y",
                        },
                        journal='{"endCursor":"3"}',
                    ),
                    an_add("chats:list", '{"userId":"u000001vneyk05y"}', {"userId": "u000001vneyk05y"}, query_id=1),
                ),
            ),
            id="queries again, with a journal",
        ),
        pytest.param(
            PYTHON_QUERY,
            ModifyQuerySet(
                0,
                1,
                (an_add("a:b", '{"f":1.0,"g":1.5,"h":[1.0,2.0],"s":"x"}', {"f": 1.0, "g": 1.5, "h": [1.0, 2.0], "s": "x"}),),
            ),
            id="Python's query",
        ),
        pytest.param(ACTION, Call("action", RequestId(5), "debug:act", {"x": 1.0}, body_key("debug:act", {"x": 1.0})), id="action"),
        pytest.param(AUTH_USER, Authenticate(0, "User", "e30.eyJpYXQiOjE3OTU0MjM3MjB9.sig"), id="a user"),
        pytest.param(
            AUTH_ADMIN,
            Authenticate(0, "Admin", "adminkey", {"subject": "s", "issuer": "i", "tokenIdentifier": "i|s", "name": "n"}),
            id="a service that speaks for a user",
        ),
        pytest.param(AUTH_NONE, Authenticate(1, "None"), id="logged out"),
        pytest.param(EVENT, Event(), id="telemetry"),
        pytest.param('{"type":"FromTheFuture","x":1}', Event(), id="a type of a newer client"),
    ],
)
def test_frames_of_real_clients_are_understood(frame: str, message: object) -> None:
    assert read_message(frame) == message


def test_a_mutation_is_read_with_the_key_that_its_repeat_must_equal() -> None:
    call, again = read_message(MUTATION), read_message(MUTATION.replace("messages:send", "messages.js:send"))

    assert isinstance(call, Call)
    assert (call.kind, call.request_id, call.path) == ("mutation", 2, "messages:send")
    assert call == again


def test_half_an_emoji_in_an_argument_is_the_problem_of_that_call_alone() -> None:
    call = read_message(MUTATION.replace('"hi"', r'"hi \ud83d"'))

    assert isinstance(call, Call)
    assert call.args == {}
    assert call.problem == (
        "the arguments cannot be read: userMessage.content: the string has an unpaired surrogate (half of a character)"
    )


def test_unknown_fields_and_an_empty_component_are_nothing() -> None:
    frame = ADD.replace('"queryId":0', '"queryId":0,"componentPath":"","x":{"y":[]}')
    assert read_message(frame) == read_message(ADD)


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        pytest.param("", "not JSON", id="nothing"),
        pytest.param("hello", "not JSON", id="not JSON"),
        pytest.param("[1]", "must be an object", id="a list"),
        pytest.param("{}", "`type` must be a string", id="no type"),
        pytest.param('{"type":["Connect"]}', "`type` must be a string", id="a type that is no string"),
        pytest.param(CONNECT.replace('"connectionCount":0', '"connectionCount":-1'), "connectionCount", id="below zero"),
        pytest.param(CONNECT.replace('"connectionCount":0', '"connectionCount":4294967296'), "2\\^32", id="beyond u32"),
        pytest.param(CONNECT.replace('"connectionCount":0', '"connectionCount":1.0'), "an integer", id="a float"),
        pytest.param(CONNECT.replace('"connectionCount":0', '"connectionCount":true'), "an integer", id="a bool"),
        pytest.param(CONNECT.replace("c6c64edc", "c" * 200), "sessionId", id="a session id as long as one likes"),
        pytest.param(RECONNECT.replace("AJaDQCqg6hg=", "AJaDQCqg6h"), "timestamp", id="a timestamp of 7 bytes"),
        pytest.param(REMOVE.replace('"Remove"', '"Replace"'), "Add or Remove", id="another modification"),
        pytest.param(ADD.replace('"modifications":[', '"modifications":[3,'), "must be an object", id="no modification"),
        pytest.param('{"type":"ModifyQuerySet","baseVersion":0,"newVersion":1}', "must be a list", id="no modifications"),
        pytest.param(ACTION.replace('[{"x":1}]', '{"x":1}'), "list of one object", id="args without a list"),
        pytest.param(ACTION.replace('[{"x":1}]', "[{},{}]"), "list of one object", id="two args"),
        pytest.param(ACTION.replace('[{"x":1}]', "[3]"), "list of one object", id="an arg that is no object"),
        pytest.param(ACTION.replace('[{"x":1}]', "[" * 100_000), "nested too deeply", id="a depth bomb"),
        pytest.param(AUTH_USER.replace('"User"', '"Guest"'), "tokenType", id="another token type"),
        pytest.param(AUTH_NONE.replace('"None"', '"User"'), "`value` must be a string", id="no token"),
        pytest.param(AUTH_ADMIN.replace('{"subject"', '[{"subject"').replace('"n"}', '"n"}]'), "object", id="acting as a list"),
    ],
)
def test_a_malformed_frame_is_refused_with_a_plain_reason(frame: str, reason: str) -> None:
    with pytest.raises(BadRequest, match=reason):
        read_message(frame)


@given(any_text | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_any_text_is_a_message_or_a_bad_request(text: str) -> None:
    read_or_refuse(text)


@given(st.sampled_from(REAL_FRAMES), st.data())
@settings(max_examples=300)
def test_a_real_frame_with_any_one_thing_replaced_is_a_message_or_a_bad_request(frame: str, data: st.DataObject) -> None:
    tree = json.loads(frame)
    replace_somewhere(tree, data)
    read_or_refuse(json.dumps(tree))


@given(st.sampled_from(REAL_FRAMES), st.data())
def test_a_real_frame_that_is_cut_or_garbled_is_a_message_or_a_bad_request(frame: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(frame)))
    end = data.draw(st.integers(start, len(frame)))
    read_or_refuse(frame[:start] + data.draw(st.text(max_size=5)) + frame[end:])


def read_or_refuse(frame: str) -> None:
    with contextlib.suppress(BadRequest):
        read_message(frame)


def replace_somewhere(tree: Any, data: st.DataObject) -> None:
    places = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
    if not places:
        return
    place = data.draw(st.sampled_from(places))
    if isinstance(tree[place], (dict, list)) and data.draw(st.booleans()):
        replace_somewhere(tree[place], data)
    elif isinstance(tree, dict) and data.draw(st.booleans()):
        del tree[place]
    else:
        tree[place] = data.draw(json_trees)


@pytest.mark.parametrize(
    ("path", "canonical"),
    [
        ("m", "m:default"),
        ("m.js", "m:default"),
        ("m:default", "m:default"),
        ("m.js:default", "m:default"),
        ("chats.js:list", "chats:list"),
        ("dir/chats:list", "dir/chats:list"),
        ("a:b:c", "a:b:c"),
        ("", ":default"),
    ],
)
def test_paths_have_one_canonical_form(path: str, canonical: str) -> None:
    assert canonical_path(path) == canonical


T = Timestamp(1)
DATA_ERROR = Failure("no\nsuch chat", "ApplicationError", '{"code":"CHAT_NOT_FOUND"}')
PLAIN_ERROR = Failure("boom", "FunctionCrashed")


@pytest.mark.parametrize(
    ("message", "frame"),
    [
        pytest.param(
            Transition(
                Version(1, 0, T),
                Version(3, 1, Timestamp(2)),
                (
                    QueryChanged(QueryId(0), Success("[]")),
                    QueryChanged(QueryId(1), Success('{"n":1.0}', ("[LOG] 'hello'",), '{"end":1}')),
                    QueryRemoved(QueryId(2)),
                    QueryChanged(QueryId(3), DATA_ERROR),
                    QueryChanged(QueryId(4), PLAIN_ERROR),
                ),
            ),
            '{"type":"Transition","startVersion":{"querySet":1,"identity":0,"ts":"AQAAAAAAAAA="},'
            '"endVersion":{"querySet":3,"identity":1,"ts":"AgAAAAAAAAA="},"modifications":['
            '{"type":"QueryUpdated","queryId":0,"value":[],"logLines":[],"journal":null},'
            '{"type":"QueryUpdated","queryId":1,"value":{"n":1.0},"logLines":["[LOG] \'hello\'"],"journal":"{\\"end\\":1}"},'
            '{"type":"QueryRemoved","queryId":2},'
            '{"type":"QueryFailed","queryId":3,"errorMessage":"no\\nsuch chat","logLines":[],"journal":null,'
            '"errorData":{"code":"CHAT_NOT_FOUND"}},'
            '{"type":"QueryFailed","queryId":4,"errorMessage":"boom","logLines":[],"journal":null}]}',
            id="transition",
        ),
        pytest.param(
            CallResponse("mutation", RequestId(2), Success('{"messageId":"m1"}'), T),
            '{"type":"MutationResponse","requestId":2,"success":true,"result":{"messageId":"m1"},"ts":"AQAAAAAAAAA=",'
            '"logLines":[]}',
            id="mutation done",
        ),
        pytest.param(
            CallResponse("mutation", RequestId(3), DATA_ERROR),
            '{"type":"MutationResponse","requestId":3,"success":false,"result":"no\\nsuch chat","ts":null,"logLines":[],'
            '"errorData":{"code":"CHAT_NOT_FOUND"}}',
            id="mutation refused",
        ),
        pytest.param(
            CallResponse("action", RequestId(4), PLAIN_ERROR),
            '{"type":"ActionResponse","requestId":4,"success":false,"result":"boom","logLines":[]}',
            id="action failed",
        ),
        pytest.param(
            AuthError("bad", 0, update_attempted=True),
            '{"type":"AuthError","error":"bad","baseVersion":0,"authUpdateAttempted":true}',
            id="token refused",
        ),
        pytest.param(FatalError('you "broke" it'), '{"type":"FatalError","error":"you \\"broke\\" it"}', id="fatal"),
        pytest.param(Ping(), '{"type":"Ping"}', id="ping"),
    ],
)
def test_server_messages_have_the_text_that_clients_expect(message: ServerMessage, frame: str) -> None:
    written = write_message(message)
    assert (written.payload.decode(), written.size_bytes, written.is_text) == (frame, len(frame.encode()), True)
    json.loads(frame)


def test_a_result_is_written_once_for_all_who_get_it_and_anew_when_it_is_replaced() -> None:
    result = Failure("boom", "FunctionCrashed")
    first, second = (write_message(Transition(Version(), Version(i), (QueryChanged(QueryId(i), result),))) for i in (1, 2))

    assert first.pieces[1] is second.pieces[1]
    assert result_fragment(replace(result, journal="end")) != result_fragment(result)


@given(any_text, any_text)
@example("half \ud83d", "[LOG] '\udc00'")
def test_any_error_and_log_text_makes_a_frame_that_can_be_sent(text: str, line: str) -> None:
    frame = write_message(CallResponse("mutation", RequestId(0), Failure(text, "x", log_lines=(line,)))).payload.decode()

    frame.encode()
    json.loads(frame)
