"""One call over HTTP, as values: the request that is sent, and what an answer to it means.

Nothing here touches the network. A `Setback` says all that the decision to try again needs: whether the same request can
succeed later, how long the hub asks to wait, and whether the mutation may have been applied all the same.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, Literal

import httpx

from hub import timestamps
from hub.client.errors import UnexpectedAnswer, failed, refused
from hub.client.references import Args
from hub.errors import ApplicationError, BadRequest, Conflict, FunctionError, HubError, OutcomeUnknown, Unavailable
from hub.protocol import json_values
from hub.timestamps import Timestamp

MAX_KEY_LENGTH: Final = 255
_RETRIED: Final = (429, 502, 503, 504)
_TEXT_SHOWN_CHARS: Final = 200


@dataclass(frozen=True, slots=True)
class Call:
    """`idempotency_key` is set exactly for a mutation, and the same in every attempt."""

    kind: Literal["query", "mutation"]
    body: bytes
    idempotency_key: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json"}
        if self.idempotency_key is not None:
            headers["Idempotency-Key"] = self.idempotency_key
        return headers


@dataclass(frozen=True, slots=True)
class Answer:
    """The call was understood and ran. `error` is what the function raised."""

    value: Any = None
    error: HubError | None = None
    ts: Timestamp | None = None


@dataclass(frozen=True, slots=True)
class Setback:
    """An attempt without an answer. `status` is None if nobody answered."""

    error: HubError
    may_retry: bool
    leaves_doubt: bool
    status: int | None = None
    retry_after_s: float = 0.0


def encode_args(args: Args) -> str:
    """Arguments as JSON text. Raises BadRequest for what the wire cannot carry, naming the place."""
    try:
        return json_values.encode(dict(args))
    except FunctionError as error:
        raise BadRequest(f"the arguments cannot be sent: {error.message}") from None


def write_body(path: str, args: str, min_ts: str | None = None) -> bytes:
    """`args` is encoded already; numbers, bytes and special floats come back as they are stored."""
    fields = [f'"path":{json_values.encode(path)}', f'"args":{args}', '"format":"convex_encoded_json"']
    if min_ts is not None:
        fields.append(f'"minTs":"{timestamps.encode(timestamps.decode(min_ts))}"')
    return ("{" + ",".join(fields) + "}").encode()


def key_for(idempotency_key: str | None) -> str:
    """The caller's own key, or a new one. Raises BadRequest for what no header can carry."""
    if idempotency_key is None:
        return str(uuid.uuid4())
    if not 0 < len(idempotency_key) <= MAX_KEY_LENGTH or not (idempotency_key.isascii() and idempotency_key.isprintable()):
        raise BadRequest(f"an idempotency key has 1 to {MAX_KEY_LENGTH} printable ASCII characters")
    return idempotency_key


# --- answers -------------------------------------------------------------------------------------------------------


def read_response(response: httpx.Response) -> Answer | Setback:
    """What an HTTP response says."""
    tree = _object_in(response)
    if response.status_code == 200 and tree is not None:
        try:
            return _read_answer(tree)
        except (BadRequest, KeyError, TypeError):
            tree = None
    return _read_refusal(response, tree)


def no_answer(error: httpx.RequestError | TimeoutError) -> Setback:
    """Nobody was reached, or the connection was lost: then what was sent may have arrived."""
    if isinstance(error, (httpx.LocalProtocolError, httpx.UnsupportedProtocol)):
        return Setback(BadRequest(f"the request cannot be sent ({error})"), may_retry=False, leaves_doubt=False)
    never_sent = isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout))
    what = "the hub cannot be reached" if never_sent else "the connection to the hub was lost"
    lost = Unavailable(f"{what} ({type(error).__name__})")
    lost.__cause__ = error
    return Setback(lost, may_retry=True, leaves_doubt=not never_sent)


def _object_in(response: httpx.Response) -> dict[str, Any] | None:
    try:
        tree = json_values.parse(response.content)
    except BadRequest:
        return None
    return tree if isinstance(tree, dict) else None


def _read_answer(tree: Mapping[str, Any]) -> Answer:
    ts = None if tree.get("ts") is None else timestamps.decode(tree["ts"])
    match tree["status"]:
        case "success":
            return Answer(json_values.decode(tree["value"]), ts=ts)
        case "error":
            return Answer(error=read_error(tree, tree.get("code")), ts=ts)
    raise KeyError("status")


def read_error(tree: Mapping[str, Any], code: str | None = None) -> HubError:
    """A function's error in an answer, or in a change of a subscription. Only an ApplicationError has data."""
    message = str(tree["errorMessage"])
    if "errorData" in tree:
        return ApplicationError(json_values.decode(tree["errorData"]), message)
    return failed(code, message)


def _read_refusal(response: httpx.Response, tree: Mapping[str, Any] | None) -> Setback:
    status = response.status_code
    if tree is None or not isinstance(tree.get("code"), str):  # not the hub: something between, or something else
        error = refused(status, None, f"HTTP {status}: {response.text[:_TEXT_SHOWN_CHARS]!r}")
        leaves_doubt = status == 200 or status >= 500
    else:
        error = refused(status, tree["code"], str(tree.get("message", "")))
        leaves_doubt = isinstance(error, OutcomeUnknown) or (status >= 500 and not isinstance(error, (Unavailable, Conflict)))
    if status == 200:
        error = UnexpectedAnswer(f"what answers does not speak like a hub: {response.text[:_TEXT_SHOWN_CHARS]!r}")
    return Setback(error, status in _RETRIED, leaves_doubt, status, retry_after_s(response.headers.get("retry-after")))


def retry_after_s(text: str | None) -> float:
    """Seconds that a `Retry-After` asks for, as a number or as a date (RFC 9110, 10.2.3); 0 if it says nothing."""
    if text is None:
        return 0.0
    if text.strip().isascii() and text.strip().isdecimal():
        return float(text.strip()[:9])
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return max(0.0, (aware - datetime.now(UTC)).total_seconds())
