"""What a call or a subscription can end with: the hub's own errors by their code, and a few that only a caller can meet.

Every one is a `HubError`. What the hub names by a code that is in `hub.errors` is raised as that class; a refusal with a code of
its own, or of something between here and the hub, becomes the class that its status stands for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hub import errors
from hub.errors import FunctionError, HubError, OutcomeUnknown, Unavailable


class RateLimited(Unavailable):
    """Too many calls in a time (HTTP 429), still so when the deadline came."""

    code = "RateLimited"


class FunctionFailed(FunctionError):
    """A function failed with a message and no data. `reported_code` is the hub's, where it said one: not on subscriptions."""

    code = "FunctionFailed"

    def __init__(self, message: str, reported_code: str | None = None) -> None:
        super().__init__(message)
        self.reported_code = reported_code


class MutationOutcomeUnknown(OutcomeUnknown):
    """It was not learnt in time whether the mutation was applied. Called again with `idempotency_key`, it is applied once."""

    def __init__(self, message: str, idempotency_key: str) -> None:
        super().__init__(f"{message}; call it again with the idempotency key {idempotency_key!r} to learn the outcome")
        self.idempotency_key = idempotency_key


class UnexpectedAnswer(HubError):
    """Something answered, and it does not speak like a hub: is the address right?"""

    code = "UnexpectedAnswer"


_WITH_A_MESSAGE: Final = (
    errors.BadRequest,
    errors.ArgumentValidation,
    errors.FunctionNotFound,
    errors.InvalidCursor,
    errors.Unauthorized,
    errors.Forbidden,
    errors.RequestOfAnotherCaller,
    errors.RequestMismatch,
    errors.FunctionError,
    errors.FunctionCrashed,
    errors.LimitExceeded,
    errors.InvalidRow,
    errors.UniqueViolation,
    errors.Unavailable,
    errors.NotCaughtUp,
    errors.TooManyConcurrentRequests,
    errors.DeadlineExceeded,
    errors.OutcomeUnknown,
    errors.SnapshotTooOld,
    errors.Conflict,
    RateLimited,
)
_BY_CODE: Final[Mapping[str, type[HubError]]] = {kind.code: kind for kind in _WITH_A_MESSAGE}
_BY_STATUS: Final[Mapping[int, type[HubError]]] = {
    401: errors.Unauthorized,
    403: errors.Forbidden,
    409: errors.Conflict,
    429: RateLimited,
    500: HubError,
    502: errors.Unavailable,
    503: errors.Unavailable,
    504: errors.Unavailable,
}


def failed(code: str | None, message: str) -> HubError:
    """Of a call that was understood and failed without data."""
    kind = _BY_CODE.get(code or "")
    return FunctionFailed(message, code) if kind is None else kind(message)


def refused(status: int, code: str | None, message: str) -> HubError:
    """Of a request that was not served."""
    kind = _BY_CODE.get(code or "") or _BY_STATUS.get(status)
    if kind is None:
        kind = errors.BadRequest if 400 <= status < 500 else UnexpectedAnswer
    return kind(message)
