"""The HTTP routes that call functions: `/api/query`, `/api/mutation` and their kin, for servers, scripts and curl.

A handler turns a request into a call of the engine and its outcome into text. Who asks is known before a body is read. Each
request ends in `_respond`: whatever is raised below becomes an answer there, and is counted.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from hub import timestamps
from hub.clock import Clock
from hub.config import Settings
from hub.errors import FunctionNotFound, HubError, TooManyConcurrentRequests, Unauthorized
from hub.functions.identity import Caller
from hub.metrics import Metrics
from hub.protocol.messages import Failure, Result
from hub.protocol.requests import body_key, canonical_path
from hub.server.answers import CALL_ERRORS, Format, Refusal, answered, internal_error, refusal, refused, write_batch, write_result
from hub.server.bodies import (
    Asked,
    args_in,
    asked_in,
    body_of_parameters,
    format_in,
    idempotency_key,
    min_ts_in,
    read_body,
    read_object,
)
from hub.server.port import Calls
from hub.server.tokens import Authenticator

Handler: TypeAlias = Callable[[Request, Caller], Awaitable[str]]

NO_ACTIONS = "This hub has no actions yet: call a query or a mutation, and do outside work in your own server"


class HttpCalls:
    def __init__(self, calls: Calls, authenticator: Authenticator, settings: Settings, clock: Clock, metrics: Metrics) -> None:
        self._calls, self._authenticator = calls, authenticator
        self._settings, self._clock, self._metrics = settings, clock, metrics
        self._running = 0

    def routes(self) -> list[Route]:
        return [
            self._route("/api/query", self._query, "GET", "POST"),
            self._route("/api/query_at_ts", self._query_at_ts),
            self._route("/api/query_batch", self._query_batch),
            self._route("/api/query_ts", self._query_ts),
            self._route("/api/mutation", self._mutation),
            self._route("/api/action", self._action),
            self._route("/api/function", self._function),
            self._route("/api/run/{function:path}", self._run),
            self._route("/api/debug_event", self._debug_event),
        ]

    # --- one request -----------------------------------------------------------------------------------------------

    def _route(self, path: str, handler: Handler, *methods: str) -> Route:
        seconds = self._metrics.http_seconds.labels(path)

        async def endpoint(request: Request) -> Response:
            started = self._clock.monotonic()
            response = await self._respond(handler, request)
            self._metrics.http_requests.labels(path, str(response.status_code)).inc()
            seconds.observe(self._clock.monotonic() - started)
            return response

        return Route(path, endpoint, methods=methods or ["POST"])

    async def _respond(self, handler: Handler, request: Request) -> Response:
        if self._running >= self._settings.http_requests_max:
            return self._refused(refusal(TooManyConcurrentRequests("too many calls at once; try again")))
        self._running += 1
        try:
            return answered(await handler(request, await self._caller(request)))
        except Refusal as reason:
            return self._refused(reason)
        except CALL_ERRORS as error:
            return answered(self._written(Failure(error.message, error.code), "json"))
        except HubError as error:
            return self._refused(refusal(error))
        except ClientDisconnect:
            return Response(status_code=499)  # nobody reads it; what nginx writes in its log for the same
        except Exception as error:  # the request ends here
            return self._refused(internal_error(error))
        finally:
            self._running -= 1

    async def _caller(self, request: Request) -> Caller:
        headers = request.headers.getlist("authorization")
        if len(headers) > 1:
            raise Unauthorized("more than one Authorization header")
        return await self._authenticator.caller(headers[0] if headers else None)

    def _refused(self, reason: Refusal) -> Response:
        self._metrics.errors.labels(reason.code).inc()
        return refused(reason)

    def _written(self, result: Result, form: Format, ts: timestamps.Timestamp | None = None) -> str:
        if isinstance(result, Failure):
            self._metrics.errors.labels(result.code).inc()
        return write_result(result, form, ts)

    def _deadline(self, timeout_s: float) -> float:
        return self._clock.monotonic() + timeout_s

    # --- queries ---------------------------------------------------------------------------------------------------

    async def _query(self, request: Request, caller: Caller) -> str:
        by_body = request.method == "POST"
        body = await read_object(request, self._settings) if by_body else body_of_parameters(request)
        return await self._run_query(asked_in(body), caller, min_ts=min_ts_in(body))

    async def _query_at_ts(self, request: Request, caller: Caller) -> str:
        body = await read_object(request, self._settings)
        return await self._run_query(asked_in(body), caller, at_ts=timestamps.decode(body.get("ts")))

    async def _run_query(
        self, asked: Asked, caller: Caller, *, min_ts: timestamps.Timestamp | None = None, at_ts: timestamps.Timestamp | None = None
    ) -> str:
        deadline = self._deadline(self._settings.query_deadline_s)
        result, ts = await self._calls.query(asked.path, asked.args, caller, min_ts=min_ts, at_ts=at_ts, deadline=deadline)
        return self._written(result, asked.form, ts)

    async def _query_batch(self, request: Request, caller: Caller) -> str:
        body = await read_object(request, self._settings)
        queries = body.get("queries")
        if not isinstance(queries, list) or not all(isinstance(query, dict) for query in queries):
            raise Refusal(400, "BadJsonBody", "`queries` must be a list of objects with `path` and `args`")
        if len(queries) > self._settings.http_batch_max:
            raise Refusal(400, "BadRequest", f"more than {self._settings.http_batch_max} queries in one batch")
        asked = [asked_in(query) for query in queries]
        results, ts = await self._calls.query_batch(
            [(one.path, one.args) for one in asked],
            caller,
            min_ts=min_ts_in(body),
            deadline=self._deadline(self._settings.query_deadline_s),
        )
        return write_batch([self._written(result, one.form) for result, one in zip(results, asked, strict=True)], ts)

    async def _query_ts(self, request: Request, caller: Caller) -> str:
        await read_body(request, self._settings)
        ts = await self._calls.latest(self._deadline(self._settings.query_deadline_s))
        return json.dumps({"ts": timestamps.encode(ts)})

    # --- mutations, and functions of either kind -------------------------------------------------------------------

    async def _mutation(self, request: Request, caller: Caller) -> str:
        key = idempotency_key(request, self._settings)
        return await self._run_mutation(asked_in(await read_object(request, self._settings)), caller, key)

    async def _run_mutation(self, asked: Asked, caller: Caller, key: str | None) -> str:
        result, ts = await self._calls.mutate(
            asked.path,
            asked.args,
            caller,
            key=key,
            body_key=body_key(asked.path, asked.args),
            deadline=self._deadline(self._settings.mutation_deadline_s),
        )
        return self._written(result, asked.form, ts)

    async def _action(self, request: Request, caller: Caller) -> str:
        asked = asked_in(await read_object(request, self._settings))
        raise FunctionNotFound(f"Could not find public function for '{asked.path}'. {NO_ACTIONS}.")

    async def _function(self, request: Request, caller: Caller) -> str:
        body = await read_object(request, self._settings)
        return await self._run_either(asked_in(body), body, request, caller)

    async def _run(self, request: Request, caller: Caller) -> str:
        """The function is in the URL: `/api/run/messages/list` is `messages:list`, `/api/run/a/b/c` is `a/b:c`."""
        body = await read_object(request, self._settings)
        module, _, name = request.path_params["function"].rpartition("/")
        if not module or not name:
            raise Refusal(400, "BadRequest", "the address must be /api/run/<module>/<function>")
        asked = Asked(canonical_path(f"{module}:{name}"), args_in(body), format_in(body))
        return await self._run_either(asked, body, request, caller)

    async def _run_either(self, asked: Asked, body: dict[str, Any], request: Request, caller: Caller) -> str:
        key = idempotency_key(request, self._settings)
        try:
            kind = self._calls.kind_of(asked.path, caller)
        except Unauthorized as error:  # understood, and refused to this caller: as when the kind is in the address
            return self._written(Failure(error.message, error.code), asked.form)
        if kind == "mutation":
            return await self._run_mutation(asked, caller, key)
        return await self._run_query(asked, caller, min_ts=min_ts_in(body))

    async def _debug_event(self, request: Request, caller: Caller) -> str:
        await read_body(request, self._settings)
        return "{}"


class CollapseSlashes:
    """`//api/query` is `/api/query`: clients whose address ends in a slash send that, on HTTP and on the upgrade."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if "//" in path:
            scope = {**scope, "path": "/" + "/".join(part for part in path.split("/") if part)}
            scope.pop("raw_path", None)
        await self._app(scope, receive, send)
