"""What HTTP callers get back: results in both formats, and errors with the status that belongs to them.

Two kinds of failure. A call that was understood and failed is an answer, with status 200 and `status: "error"`. A request that
could not be served is a Refusal: a 4xx or 5xx with `{"code", "message"}`. Neither ever has a traceback in it; what nobody
expected is logged under a reference, and the reference is all that the caller hears.
"""

from __future__ import annotations

import json
import logging
import secrets
from typing import Final, Literal, TypeAlias, assert_never

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from hub import errors, timestamps
from hub.errors import HubError
from hub.protocol import json_values
from hub.protocol.messages import Failure, Result, Success
from hub.timestamps import Timestamp

log = logging.getLogger(__name__)

Format: TypeAlias = Literal["convex_encoded_json", "json"]

RETRY_AFTER_S: Final = 1

CALL_ERRORS: Final = (errors.FunctionNotFound, errors.ArgumentValidation, errors.InvalidCursor, errors.FunctionError)
"""Raised for a call that was understood and failed: answered like a function's own error."""

_STATUS: Final[tuple[tuple[type[HubError], int], ...]] = (
    (errors.BadRequest, 400),
    (errors.Unauthorized, 401),
    (errors.Forbidden, 403),
    (errors.RequestOfAnotherCaller, 409),
    (errors.RequestMismatch, 422),
    (errors.Unavailable, 503),
    (errors.Conflict, 503),
    (errors.OutcomeUnknown, 503),
)
"""The first that fits. An error of another kind has no business here: 500."""

_CODES: Final = {404: "NotFound", 405: "MethodNotAllowed"}


class Refusal(Exception):
    """A request that is not served. `may_retry`: the same request can succeed later, and repeating it is safe."""

    def __init__(self, status: int, code: str, message: str, *, may_retry: bool = False) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.may_retry = status, code, message, may_retry


def refusal(error: HubError) -> Refusal:
    """The refusal that tells an error. One that says nothing to callers becomes an internal error, logged."""
    for kind, status in _STATUS:
        if isinstance(error, kind):
            # an unknown outcome is for whoever has a request key to repeat, not for a proxy that retries by itself
            may_retry = status == 503 and not isinstance(error, errors.OutcomeUnknown)
            return Refusal(status, error.code, error.message, may_retry=may_retry)
    return internal_error(error)


def internal_error(error: Exception) -> Refusal:
    """Logs the traceback under a new reference."""
    reference = secrets.token_hex(8)
    log.error("a request failed", exc_info=error, extra={"reference": reference})
    return Refusal(500, "InternalServerError", f"[Request ID: {reference}] Server Error")


def refused(reason: Refusal) -> Response:
    headers = {"Retry-After": str(RETRY_AFTER_S)} if reason.may_retry else {}
    if reason.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return answered(json.dumps({"code": reason.code, "message": reason.message}), reason.status, headers)


def answered(text: str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(text, status, {"Cache-Control": "no-store", **(headers or {})}, media_type="application/json")


def write_result(result: Result, form: Format, ts: Timestamp | None = None) -> str:
    """JSON of one call's outcome. `code` in an error is the hub's own; clients look at `errorMessage` and `errorData`."""
    match result:
        case Success():
            fields = {"status": '"success"', "value": _in_form(result.value, form)}
        case Failure():
            fields = {"status": '"error"', "code": json.dumps(result.code), "errorMessage": json.dumps(result.message)}
            if result.data is not None:
                fields["errorData"] = _in_form(result.data, form)
        case _:
            assert_never(result)
    fields["logLines"] = json.dumps(result.log_lines) if result.log_lines else "[]"
    if ts is not None:
        fields["ts"] = json.dumps(timestamps.encode(ts))
    return _object(fields)


def write_batch(results: list[str], ts: Timestamp) -> str:
    """Outcomes that `write_result` wrote, true at one moment."""
    return _object({"results": f"[{','.join(results)}]", "ts": json.dumps(timestamps.encode(ts))})


def _in_form(encoded: str, form: Format) -> str:
    return encoded if form == "convex_encoded_json" else json_values.lossy_text(encoded)


def _object(fields: dict[str, str]) -> str:
    """Fields whose values are JSON text already: a result is encoded once, not once for each reply."""
    return "{" + ",".join(f'"{name}":{text}' for name, text in fields.items()) + "}"


async def no_route(request: Request, error: Exception) -> Response:
    """For Starlette's `exception_handlers`: no such route, or not with this method, in the form of every other refusal."""
    assert isinstance(error, HTTPException)
    message = "there is nothing at this address" if error.status_code == 404 else f"{request.method} is not for this address"
    response = refused(Refusal(error.status_code, _CODES.get(error.status_code, "BadRequest"), message))
    response.headers.update(error.headers or {})
    return response


async def crashed(request: Request, error: Exception) -> Response:
    """For Starlette's `exception_handlers`: what went wrong outside of any call."""
    return refused(internal_error(error))
