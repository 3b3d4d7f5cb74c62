"""What the clients do when an answer does not come, or is not the hub's: scripted, so that every attempt can be looked at."""

from __future__ import annotations

import math
import time

import pytest

from hub.client import (
    Conflict,
    Forbidden,
    FunctionCrashed,
    FunctionFailed,
    HubError,
    Int64,
    MutationOutcomeUnknown,
    RateLimited,
    Timeouts,
    Unauthorized,
    Unavailable,
    UnexpectedAnswer,
)
from hub.errors import BadRequest
from tests.client.conftest import Open
from tests.client.faults import CUT, Reply, answering, refusal, success
from tests.scenarios.hub_process import free_port

SHORT = Timeouts(deadline_s=0.4)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(CUT, id="cut"),
        pytest.param(Reply(502, "<html>"), id="bad gateway"),
        pytest.param(Reply(503, "<html>"), id="no hub behind the proxy"),
        pytest.param(Reply(504, "<html>"), id="gateway timeout"),
        pytest.param(refusal(503, "Unavailable"), id="unavailable"),
        pytest.param(refusal(503, "OutcomeUnknown"), id="outcome unknown"),
        pytest.param(refusal(503, "Conflict"), id="conflict"),
        pytest.param(refusal(429, "RateLimited"), id="rate limited"),
    ],
)
async def test_a_mutation_is_repeated_with_the_same_key_and_body(fault: Reply, open_client: Open) -> None:
    async with answering(fault, fault, success("done")) as server:
        assert await open_client(server.url).mutation("a:b", {"x": 1}) == "done"

    keys = {request.headers["idempotency-key"] for request in server.requests}
    assert (len(server.requests), len(keys)) == (3, 1)
    assert {request.path for request in server.requests} == {"/api/mutation"}
    assert server.requests[0].body == server.requests[2].body


async def test_every_mutation_has_a_key_of_its_own_and_a_query_none(open_client: Open) -> None:
    async with answering(success(None)) as server:
        client = open_client(server.url)
        await client.mutation("a:b")
        await client.mutation("a:b")
        await client.query("a:b")

    first, second, query = server.requests
    assert first.headers["idempotency-key"] != second.headers["idempotency-key"]
    assert "idempotency-key" not in query.headers


async def test_the_hub_is_not_asked_before_the_time_it_names(open_client: Open) -> None:
    async with answering(refusal(503, "TooManyConcurrentRequests", Retry_After="1"), success("done")) as server:
        started = time.monotonic()
        assert await open_client(server.url).query("a:b") == "done"

    assert time.monotonic() - started >= 1.0


async def test_a_wait_beyond_the_deadline_is_not_begun(open_client: Open) -> None:
    async with answering(refusal(429, "RateLimited", Retry_After="3600")) as server:
        with pytest.raises(RateLimited):
            await open_client(server.url).query("a:b")

    assert len(server.requests) == 1


async def test_a_mutation_without_an_answer_has_an_unknown_outcome(open_client: Open) -> None:
    async with answering(CUT) as server:
        with pytest.raises(MutationOutcomeUnknown) as unknown:
            await open_client(server.url, timeouts=SHORT).mutation("a:b", idempotency_key="mine")
        with pytest.raises(Unavailable):
            await open_client(server.url, timeouts=SHORT).query("a:b")

    assert unknown.value.idempotency_key == "mine"
    assert len(server.requests) > 2


async def test_a_mutation_that_reached_nobody_was_not_applied(open_client: Open) -> None:
    with pytest.raises(Unavailable):
        await open_client(f"http://127.0.0.1:{free_port()}", timeouts=SHORT).mutation("a:b")


async def test_an_attempt_that_gets_no_answer_in_time_is_repeated(open_client: Open) -> None:
    silent = Reply(200, "", {"Content-Length": "5"})
    async with answering(silent, success("done")) as server:
        assert await open_client(server.url, timeouts=Timeouts(attempt_s=0.2)).query("a:b") == "done"


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        pytest.param(refusal(401, "Unauthorized"), Unauthorized, id="401"),
        pytest.param(refusal(403, "Forbidden"), Forbidden, id="403"),
        pytest.param(refusal(409, "SomethingNew"), Conflict, id="409"),
        pytest.param(refusal(413, "BodyTooLarge"), BadRequest, id="413"),
        pytest.param(Reply(404, "<html>"), BadRequest, id="not a hub's 404"),
        pytest.param(Reply(302, "", {"Location": "http://127.0.0.1:1/"}), UnexpectedAnswer, id="redirect"),
        pytest.param(Reply(body={"status": "error", "errorMessage": "m", "code": "FunctionCrashed"}), FunctionCrashed, id="crash"),
        pytest.param(Reply(body={"status": "error", "errorMessage": "m"}), FunctionFailed, id="plain"),
    ],
)
async def test_what_would_fail_again_is_told_at_once(reply: Reply, error: type[HubError], open_client: Open) -> None:
    async with answering(reply) as server:
        with pytest.raises(error):
            await open_client(server.url).mutation("a:b")

    assert len(server.requests) == 1


async def test_a_fault_of_the_hub_is_told_at_once_and_leaves_a_mutation_in_doubt(open_client: Open) -> None:
    async with answering(refusal(500, "InternalServerError")) as server:
        with pytest.raises(HubError, match="InternalServerError"):
            await open_client(server.url).query("a:b")
        with pytest.raises(MutationOutcomeUnknown):
            await open_client(server.url).mutation("a:b")

    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(body="<html>"), id="no JSON"),
        pytest.param(Reply(body={"ok": True}), id="other JSON"),
        pytest.param(Reply(body={"status": "success", "value": {"$integer": "?"}}), id="a bad value"),
    ],
)
async def test_what_does_not_speak_like_a_hub_is_named(reply: Reply, open_client: Open) -> None:
    async with answering(reply) as server:
        with pytest.raises(UnexpectedAnswer):
            await open_client(server.url).query("a:b")
        with pytest.raises(MutationOutcomeUnknown):
            await open_client(server.url).mutation("a:b")


async def test_values_come_as_they_are_stored(open_client: Open) -> None:
    wire = {"i": {"$integer": "BQAAAAAAAAA="}, "b": {"$bytes": "AAE="}, "n": {"$float": "AAAAAAAA+H8="}, "whole": 3}
    async with answering(success(wire)) as server:
        value = await open_client(server.url).query("a:b", {"i": Int64(5), "b": b"\0\1", "n": math.nan, "whole": 3})

    assert (value["i"], type(value["i"]), value["b"], type(value["whole"])) == (5, Int64, b"\0\1", float)
    assert math.isnan(value["n"])
    assert server.requests[0].body == {"path": "a:b", "args": wire, "format": "convex_encoded_json"}


async def test_an_async_callback_is_awaited_and_a_fresh_token_used(open_client: Open, kind: str) -> None:
    async def fetch(refresh: bool) -> str:
        return "fresh" if refresh else "old"

    token = fetch if kind == "async" else lambda refresh: "fresh" if refresh else "old"
    async with answering(refusal(401, "Unauthorized"), success("done")) as server:
        assert await open_client(server.url, token=token).mutation("a:b") == "done"

    assert [request.headers["authorization"] for request in server.requests] == ["Bearer old", "Bearer fresh"]
    assert len({request.headers["idempotency-key"] for request in server.requests}) == 1


async def test_the_service_key_is_sent_as_such(open_client: Open) -> None:
    async with answering(success(None)) as server:
        await open_client(server.url + "/", service_key="secret").query("a:b")

    assert server.requests[0].headers["authorization"] == "Convex secret"


@pytest.mark.parametrize("url", ["hub.example.com", "ftp://hub", "http://", "https://hub/?a=1"])
async def test_an_address_that_is_none_is_refused(url: str, open_client: Open) -> None:
    with pytest.raises(ValueError, match="address"):
        open_client(url)


async def test_two_kinds_of_credentials_are_refused(open_client: Open) -> None:
    with pytest.raises(ValueError, match="not both"):
        open_client("http://hub", token="a", service_key="b")


@pytest.mark.parametrize("secret", ["", "with a line feed\n", "tökén"])
async def test_a_secret_that_no_header_can_carry_is_refused_and_not_shown(secret: str, open_client: Open) -> None:
    with pytest.raises(ValueError, match="printable ASCII") as refused:
        open_client("http://hub", service_key=secret)

    assert not secret or secret not in str(refused.value)


@pytest.mark.parametrize("key", ["", "x" * 256, "schlüssel"])
async def test_an_idempotency_key_that_no_header_can_carry_is_refused(key: str, open_client: Open) -> None:
    with pytest.raises(BadRequest, match="idempotency key"):
        await open_client("http://hub").mutation("a:b", idempotency_key=key)
