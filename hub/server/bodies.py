"""What HTTP callers send: bodies read within bounds, and the calls in them.

Sizes are enforced while a body arrives, so that an oversized one is never held. Everything wrong with a request is a Refusal
that says what; arguments are always in the protocol's value encoding, whichever format the answer is wanted in.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request

from hub import timestamps
from hub.config import Settings
from hub.errors import BadRequest, FunctionNotFound
from hub.protocol import json_values
from hub.protocol.requests import canonical_path
from hub.server.answers import Format, Refusal
from hub.timestamps import Timestamp
from hub.values import Value

_TOO_LARGE: Final = "the request body is larger than {} bytes"
_JSON_TYPE: Final = re.compile(r"application/(?:[\w.-]+\+)?json\s*(?:;.*)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Asked:
    """One call as it was asked for. `path` is canonical."""

    path: str
    args: Mapping[str, Value]
    form: Format


async def read_body(request: Request, settings: Settings) -> bytes:
    """The whole body. Raises Refusal: too large (413), too slow (408)."""
    limit = settings.http_body_max_bytes
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > limit:
        raise Refusal(413, "BodyTooLarge", _TOO_LARGE.format(limit))
    body = bytearray()
    try:
        async with asyncio.timeout(settings.http_body_timeout_s):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise Refusal(413, "BodyTooLarge", _TOO_LARGE.format(limit))
    except TimeoutError:
        raise Refusal(408, "RequestTimeout", f"the body did not arrive in {settings.http_body_timeout_s:g} s") from None
    return bytes(body)


async def read_object(request: Request, settings: Settings) -> dict[str, Any]:
    """The JSON object in the body. Raises Refusal."""
    if not _JSON_TYPE.fullmatch(request.headers.get("content-type", "")):
        raise Refusal(400, "BadJsonBody", "the header `Content-Type: application/json` is missing")
    try:
        tree = json_values.parse(await read_body(request, settings))
    except BadRequest as error:
        raise Refusal(400, "BadJsonBody", error.message) from None
    if not isinstance(tree, dict):
        raise Refusal(400, "BadJsonBody", "the body must be a JSON object")
    return tree


def asked_in(body: Mapping[str, Any]) -> Asked:
    """The call in a body with `path`, `args` and `format`. Raises Refusal, and FunctionNotFound for another component."""
    path = body.get("path")
    if not isinstance(path, str) or not path:
        raise Refusal(400, "BadJsonBody", "`path` must be a string like `messages:list`")
    asked = Asked(canonical_path(path), args_in(body), format_in(body))
    if body.get("componentPath"):
        raise FunctionNotFound(f"Could not find public function for '{asked.path}'. This hub has no components.")
    return asked


def args_in(body: Mapping[str, Any]) -> dict[str, Value]:
    """`args`: an object, or a list of one; none given is none needed."""
    try:
        return json_values.decode_args(body.get("args", {}), allow_object=True)
    except BadRequest as error:
        raise Refusal(400, "BadRequest", error.message) from None


def format_in(body: Mapping[str, Any]) -> Format:
    match body.get("format"):
        case None | "json":
            return "json"
        case "convex_encoded_json":
            return "convex_encoded_json"
        case _:
            raise Refusal(400, "BadFormat", "`format` must be `json` or `convex_encoded_json`")


def min_ts_in(body: Mapping[str, Any]) -> Timestamp | None:
    """Raises BadRequest unless it is a timestamp or absent."""
    return None if body.get("minTs") is None else timestamps.decode(body["minTs"])


def body_of_parameters(request: Request) -> dict[str, Any]:
    """The same call as a body would hold, from `GET /api/query?path=&args=&format=&minTs=`."""
    body: dict[str, Any] = dict(request.query_params)
    if "args" in body:
        try:
            body["args"] = json_values.parse(body["args"])
        except BadRequest as error:
            raise Refusal(400, "BadRequest", f"`args`: {error.message}") from None
    return body


def idempotency_key(request: Request, settings: Settings) -> str | None:
    """The `Idempotency-Key`, opaque, of visible ASCII. Raises Refusal."""
    keys = request.headers.getlist("idempotency-key")
    if not keys:
        return None
    limit = settings.idempotency_key_max_bytes
    if len(keys) > 1 or not 0 < len(keys[0]) <= limit or not (keys[0].isascii() and keys[0].isprintable()):
        raise Refusal(400, "BadIdempotencyKey", f"one Idempotency-Key, of 1 to {limit} printable ASCII characters")
    return keys[0]
