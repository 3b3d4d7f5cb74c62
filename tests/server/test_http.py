"""The HTTP routes: what reaches the engine, and what callers get back, in both formats and for every kind of failure."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException

from hub import config, errors, timestamps
from hub.errors import HubError
from hub.functions.identity import NOBODY, SERVICE
from hub.metrics import Metrics
from hub.protocol.messages import Failure, Success
from hub.server.answers import crashed, no_route
from hub.server.http import CollapseSlashes, HttpCalls
from hub.server.tokens import Authenticator
from hub.timestamps import Timestamp
from hub.values import Int64
from tests.server.support import TS, ManualClock, ScriptedEngine

ENCODED = Success('{"n":1.0,"i":{"$integer":"BQAAAAAAAAA="},"b":{"$bytes":"aGk="}}', ("[LOG] 'hi'",))
FAILED = Failure("no chat", "ApplicationError", data='{"code":"X","n":{"$integer":"BQAAAAAAAAA="}}')
BASE64_TS = timestamps.encode(TS)


def application(engine: ScriptedEngine, **given: Any) -> tuple[CollapseSlashes, Metrics]:
    metrics = Metrics(process=False)
    calls = HttpCalls(engine, Authenticator({}, admin_key="key"), config.load(**given), ManualClock(), metrics)
    return CollapseSlashes(
        Starlette(routes=calls.routes(), exception_handlers={HTTPException: no_route, Exception: crashed})
    ), metrics


async def send(
    engine: ScriptedEngine, method: str, path: str, settings: Mapping[str, Any] | None = None, **request: Any
) -> httpx.Response:
    app, _ = application(engine, **(settings or {}))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://hub") as client:
        return await client.request(method, path, **request)


async def post(engine: ScriptedEngine, path: str, body: object, **headers: str) -> httpx.Response:
    return await send(engine, "POST", path, json=body, headers={name.replace("_", "-"): value for name, value in headers.items()})


# --- calls that are answered ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("args", [{"room": "a"}, [{"room": "a"}]], ids=["an object", "a list of one"])
async def test_a_query_reaches_the_engine_and_its_value_the_caller_with_its_timestamp(args: object) -> None:
    engine = ScriptedEngine(ENCODED)

    response = await post(engine, "/api/query", {"path": "notes.js:list", "args": args, "format": "convex_encoded_json"})

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {
        "status": "success",
        "value": {"n": 1.0, "i": {"$integer": "BQAAAAAAAAA="}, "b": {"$bytes": "aGk="}},
        "logLines": ["[LOG] 'hi'"],
        "ts": BASE64_TS,
    }
    (call,) = engine.calls
    assert (call.kind, call.path, call.args, call.caller) == ("query", "notes:list", {"room": "a"}, NOBODY)
    assert call.options == {"min_ts": None, "at_ts": None, "deadline": 1_010.0}
    assert '"n":1.0' in response.text, "a whole float stays one: the legacy Python client refuses integers"


@pytest.mark.parametrize("form", [{}, {"format": "json"}, {"format": None}], ids=["missing", "json", "null"])
async def test_plain_json_is_the_lossy_format(form: dict[str, object]) -> None:
    succeeded = await post(ScriptedEngine(ENCODED), "/api/query", {"path": "a:b", "args": {}, **form})
    failed = await post(ScriptedEngine(FAILED), "/api/query", {"path": "a:b", "args": {}, **form})

    assert succeeded.json()["value"] == {"n": 1.0, "i": "5", "b": "aGk="}
    assert failed.json()["errorData"] == {"code": "X", "n": "5"}


async def test_arguments_are_in_the_value_encoding_whatever_the_format() -> None:
    engine = ScriptedEngine()

    await post(engine, "/api/query", {"path": "a:b", "args": {"i": {"$integer": "BQAAAAAAAAA="}}, "format": "json"})

    assert isinstance(engine.calls[0].args["i"], Int64)


async def test_a_function_that_fails_is_an_answer_and_only_application_data_is_error_data() -> None:
    told = await post(ScriptedEngine(FAILED), "/api/mutation", {"path": "a:b", "args": {}, "format": "convex_encoded_json"})
    plain = await post(ScriptedEngine(Failure("boom", "FunctionCrashed")), "/api/query", {"path": "a:b", "args": {}})

    assert (told.status_code, plain.status_code) == (200, 200)
    assert told.json()["status"] == "error"
    assert told.json()["errorMessage"] == "no chat"
    assert told.json()["errorData"] == {"code": "X", "n": {"$integer": "BQAAAAAAAAA="}}
    assert "errorData" not in plain.json()


async def test_a_query_in_the_url_is_the_same_call() -> None:
    engine = ScriptedEngine(ENCODED)

    response = await send(
        engine,
        "GET",
        "/api/query",
        params={"path": "notes:list", "args": '{"room":"a"}', "format": "convex_encoded_json", "minTs": BASE64_TS},
    )

    assert response.json()["value"]["i"] == {"$integer": "BQAAAAAAAAA="}
    assert (engine.calls[0].args, engine.calls[0].options["min_ts"]) == ({"room": "a"}, TS)


async def test_arguments_that_are_not_given_are_none() -> None:
    engine = ScriptedEngine()

    assert (await post(engine, "/api/query", {"path": "a:b"})).status_code == 200
    assert (await send(engine, "GET", "/api/query?path=a:b")).status_code == 200
    assert [call.args for call in engine.calls] == [{}, {}]


async def test_a_minimum_timestamp_is_passed_on() -> None:
    engine = ScriptedEngine()

    await post(engine, "/api/query", {"path": "a:b", "args": {}, "minTs": timestamps.encode(Timestamp(99))})

    assert engine.calls[0].options["min_ts"] == 99


async def test_a_consistent_query_asks_for_a_timestamp_and_then_reads_at_it() -> None:
    engine = ScriptedEngine()

    asked = await send(engine, "POST", "/api/query_ts")
    await post(engine, "/api/query_at_ts", {"path": "a:b", "args": [{}], "ts": asked.json()["ts"]})

    assert asked.json() == {"ts": BASE64_TS}
    assert (engine.calls[0].options["at_ts"], engine.calls[0].options["min_ts"]) == (TS, None)


async def test_a_batch_is_answered_at_one_moment_each_query_in_its_own_format() -> None:
    queries = [{"path": "a:b", "args": {}}, {"path": "c:d", "args": [{}], "format": "convex_encoded_json"}]

    response = await post(ScriptedEngine(ENCODED), "/api/query_batch", {"queries": queries, "minTs": BASE64_TS})

    body = response.json()
    assert [result["value"]["i"] for result in body["results"]] == ["5", {"$integer": "BQAAAAAAAAA="}]
    assert body["ts"] == BASE64_TS


@pytest.mark.parametrize(
    ("address", "path"), [("notes/add", "notes:add"), ("admin/notes/add", "admin/notes:add"), ("notes.js/add", "notes:add")]
)
@pytest.mark.parametrize("kind", ["query", "mutation"])
async def test_a_function_can_be_named_in_the_url_whatever_its_kind(address: str, path: str, kind: Any) -> None:
    engine = ScriptedEngine(kinds={path: kind})

    response = await post(engine, f"/api/run/{address}", {"args": {"text": "hi"}})

    assert response.json()["status"] == "success"
    assert [(call.kind, call.path, call.args) for call in engine.calls] == [(kind, path, {"text": "hi"})]


async def test_a_function_of_any_kind_is_run_by_its_path() -> None:
    engine = ScriptedEngine(kinds={"notes:add": "mutation"})

    await post(engine, "/api/function", {"path": "notes:add", "args": {}, "componentPath": ""})

    assert [call.kind for call in engine.calls] == ["mutation"]


async def test_repeated_slashes_are_one() -> None:
    engine = ScriptedEngine(kinds={"notes:add": "query"})

    assert (await post(engine, "http://hub//api//query", {"path": "a:b", "args": {}})).status_code == 200
    assert (await post(engine, "http://hub//api/run//notes/add", {})).status_code == 200


async def test_telemetry_is_taken_and_ignored() -> None:
    assert (await send(ScriptedEngine(), "POST", "/api/debug_event", content=b"whatever")).status_code == 200


# --- mutations once only -------------------------------------------------------------------------------------------


async def test_an_idempotency_key_reaches_the_engine_with_what_a_repeat_must_equal() -> None:
    engine = ScriptedEngine()

    for args in ({"a": 1, "b": 2}, [{"b": 2.0, "a": 1}], {"a": 1, "b": 3}):
        await post(engine, "/api/mutation", {"path": "notes:add", "args": args}, idempotency_key='"k-1"')

    first, same, other = [call.options["body_key"] for call in engine.calls]
    assert {call.options["key"] for call in engine.calls} == {'"k-1"'}
    assert first == same != other


async def test_a_key_used_for_another_call_is_422() -> None:
    engine = ScriptedEngine(error=errors.RequestMismatch("the key was used for another call"))

    response = await post(engine, "/api/mutation", {"path": "a:b", "args": {}}, idempotency_key="k")

    assert (response.status_code, response.json()["code"]) == (422, "RequestMismatch")


@pytest.mark.parametrize("keys", [[""], ["k" * 256], ["k\x7f"], ["a", "b"]], ids=["empty", "too long", "not visible", "two"])
async def test_a_key_that_is_none_is_refused_before_anything_runs(keys: list[str]) -> None:
    engine = ScriptedEngine()
    headers = [("Idempotency-Key", key) for key in keys]

    response = await send(engine, "POST", "/api/mutation", json={"path": "a:b", "args": {}}, headers=headers)

    assert (response.status_code, response.json()["code"]) == (400, "BadIdempotencyKey")
    assert engine.calls == []


async def test_a_mutation_that_committed_nothing_has_no_timestamp_to_tell() -> None:
    engine = ScriptedEngine(ts=None)  # type: ignore[arg-type]  # what `mutate` may answer

    assert "ts" not in (await post(engine, "/api/mutation", {"path": "a:b", "args": {}})).json()


# --- who asks ------------------------------------------------------------------------------------------------------


async def test_the_caller_is_who_the_header_proves() -> None:
    engine = ScriptedEngine()

    await post(engine, "/api/query", {"path": "a:b", "args": {}}, authorization="Convex key")

    assert engine.calls[0].caller == SERVICE


@pytest.mark.parametrize(
    "path", ["/api/query", "/api/mutation", "/api/action", "/api/query_ts", "/api/query_batch", "/api/function", "/api/run/a/b"]
)
async def test_a_bad_token_is_401_on_every_route_and_runs_nothing(path: str) -> None:
    engine = ScriptedEngine()

    response = await post(engine, path, {"path": "a:b", "args": {}}, authorization="Bearer no.such.token")

    assert (response.status_code, response.json()["code"]) == (401, "Unauthorized")
    assert response.headers["www-authenticate"] == "Bearer"
    assert "no.such.token" not in response.text
    assert engine.calls == []


async def test_two_authorization_headers_are_none() -> None:
    headers = [("Authorization", "Convex key"), ("Authorization", "Convex key")]

    response = await send(ScriptedEngine(), "POST", "/api/query", json={"path": "a:b", "args": {}}, headers=headers)

    assert response.status_code == 401


async def test_a_function_that_is_closed_to_the_caller_is_answered_alike_by_every_route() -> None:
    closed = ScriptedEngine(Failure("no identity", "Unauthorized"))
    closed_either = ScriptedEngine(error=errors.Unauthorized("no identity"))

    by_kind = await post(closed, "/api/query", {"path": "a:b", "args": {}})
    either = await post(closed_either, "/api/run/a/b", {"args": {}})

    assert (by_kind.status_code, by_kind.json()) == (either.status_code, {**either.json(), "ts": BASE64_TS})


# --- requests that are refused -------------------------------------------------------------------------------------

JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("path", "content", "headers", "code"),
    [
        pytest.param("/api/query", b"{", JSON, "BadJsonBody", id="not JSON"),
        pytest.param("/api/query", b"\xff\xfe", JSON, "BadJsonBody", id="not UTF-8"),
        pytest.param("/api/query", b"", JSON, "BadJsonBody", id="empty"),
        pytest.param("/api/query", b"[]", JSON, "BadJsonBody", id="not an object"),
        pytest.param("/api/query", b"[" * 100_000, JSON, "BadJsonBody", id="nested for ever"),
        pytest.param("/api/query", b'{"path":"a:b","args":{"n":NaN}}', JSON, "BadJsonBody", id="NaN"),
        pytest.param("/api/query", b'{"path":"a:b"}', {}, "BadJsonBody", id="no content type"),
        pytest.param("/api/query", b'{"path":"a:b"}', {"content-type": "text/plain"}, "BadJsonBody", id="another content type"),
        pytest.param("/api/query", b'{"args":{}}', JSON, "BadJsonBody", id="no path"),
        pytest.param("/api/query", b'{"path":1,"args":{}}', JSON, "BadJsonBody", id="path is no string"),
        pytest.param("/api/query", b'{"path":"a:b","args":{},"format":"xml"}', JSON, "BadFormat", id="unknown format"),
        pytest.param("/api/query", b'{"path":"a:b","args":[]}', JSON, "BadRequest", id="no argument object"),
        pytest.param("/api/query", b'{"path":"a:b","args":[{},{}]}', JSON, "BadRequest", id="two argument objects"),
        pytest.param("/api/query", b'{"path":"a:b","args":"x"}', JSON, "BadRequest", id="arguments are a string"),
        pytest.param("/api/query", rb'{"path":"a:b","args":{"s":"\ud800"}}', JSON, "BadRequest", id="half a character"),
        pytest.param("/api/query", b'{"path":"a:b","args":{"i":{"$integer":"x"}}}', JSON, "BadRequest", id="a bad tag"),
        pytest.param("/api/query", b'{"path":"a:b","args":{},"minTs":7}', JSON, "BadRequest", id="minTs is a number"),
        pytest.param("/api/query_at_ts", b'{"path":"a:b","args":{}}', JSON, "BadRequest", id="no ts"),
        pytest.param("/api/query_at_ts", b'{"path":"a:b","args":{},"ts":"AAAA"}', JSON, "BadRequest", id="a short ts"),
        pytest.param("/api/query_batch", b'{"queries":{}}', JSON, "BadJsonBody", id="queries is no list"),
        pytest.param("/api/query_batch", b'{"queries":[1]}', JSON, "BadJsonBody", id="a query is no object"),
        pytest.param("/api/run/notes", b"{}", JSON, "BadRequest", id="an address without a function"),
    ],
)
async def test_a_malformed_request_is_400_with_the_reason(path: str, content: bytes, headers: dict[str, str], code: str) -> None:
    engine = ScriptedEngine()

    response = await send(engine, "POST", path, content=content, headers=headers)

    assert (response.status_code, response.json()["code"]) == (400, code)
    assert response.json()["message"]
    assert engine.calls == []


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON", "application/vnd.api+json"])
async def test_content_types_that_are_json_are_taken(content_type: str) -> None:
    response = await send(ScriptedEngine(), "POST", "/api/query", content=b'{"path":"a:b"}', headers={"content-type": content_type})

    assert response.status_code == 200


async def test_a_batch_has_a_limit() -> None:
    queries = [{"path": "a:b", "args": {}}] * 101

    assert (await post(ScriptedEngine(), "/api/query_batch", {"queries": queries})).status_code == 400


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        pytest.param("/api/action", {"path": "a:b", "args": {}}, "no actions", id="an action"),
        pytest.param("/api/query", {"path": "a:b", "args": {}, "componentPath": "x"}, "no components", id="a component"),
    ],
)
async def test_what_the_hub_does_not_have_is_a_call_that_fails_and_says_so(path: str, body: object, expected: str) -> None:
    response = await post(ScriptedEngine(), path, body)

    assert (response.status_code, response.json()["status"], response.json()["code"]) == (200, "error", "FunctionNotFound")
    assert expected in response.json()["errorMessage"]


@pytest.mark.parametrize(
    ("error", "status", "may_retry"),
    [
        pytest.param(errors.BadRequest("x"), 400, False, id="BadRequest"),
        pytest.param(errors.Forbidden("x"), 403, False, id="Forbidden"),
        pytest.param(errors.RequestOfAnotherCaller("x"), 409, False, id="RequestOfAnotherCaller"),
        pytest.param(errors.NotCaughtUp("x"), 503, True, id="NotCaughtUp"),
        pytest.param(errors.Unavailable("x"), 503, True, id="Unavailable"),
        pytest.param(errors.TooManyConcurrentRequests("x"), 503, True, id="TooManyConcurrentRequests"),
        pytest.param(errors.OutcomeUnknown("x"), 503, False, id="OutcomeUnknown: not for a proxy to repeat"),
    ],
)
async def test_an_error_of_the_hub_has_its_status_and_code(error: HubError, status: int, may_retry: bool) -> None:
    response = await post(ScriptedEngine(error=error), "/api/mutation", {"path": "a:b", "args": {}})

    assert (response.status_code, response.json()) == (status, {"code": error.code, "message": "x"})
    assert ("retry-after" in response.headers) is may_retry


async def test_what_nobody_expected_is_a_reference_and_its_traceback_stays_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        response = await post(ScriptedEngine(error=RuntimeError("secret detail")), "/api/query", {"path": "a:b", "args": {}})

    assert (response.status_code, response.json()["code"]) == (500, "InternalServerError")
    assert "secret" not in response.text
    (record,) = caplog.records
    assert record.exc_info is not None
    assert vars(record)["reference"] in response.json()["message"]


async def test_an_address_that_is_none_and_a_wrong_method_are_told_in_the_same_form() -> None:
    missing = await send(ScriptedEngine(), "GET", "/api/nothing")
    wrong = await send(ScriptedEngine(), "GET", "/api/mutation")

    assert (missing.status_code, missing.json()["code"]) == (404, "NotFound")
    assert (wrong.status_code, wrong.json()["code"], wrong.headers["allow"]) == (405, "MethodNotAllowed", "POST")


async def test_calls_and_errors_are_counted_by_route_status_and_code() -> None:
    app, metrics = application(ScriptedEngine(FAILED))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://hub") as client:
        await client.post("/api/query", json={"path": "a:b"})
        await client.post("/api/query", content=b"{", headers=JSON)

    text = metrics.text().decode()
    assert 'hub_http_requests_total{route="/api/query",status="200"} 1.0' in text
    assert 'hub_http_requests_total{route="/api/query",status="400"} 1.0' in text
    assert 'hub_errors_total{code="ApplicationError"} 1.0' in text
    assert 'hub_errors_total{code="BadJsonBody"} 1.0' in text
