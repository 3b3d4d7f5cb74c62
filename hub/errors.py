"""Every error the hub raises on purpose: one tree, each with a stable `code` for programs and a message for people.

An adapter that meets a foreign exception (the driver's, pydantic's, a token library's) translates it into one of these;
whatever else reaches the edge is answered as `InternalServerError` with a reference that finds the traceback in the log.
"""

from __future__ import annotations

from typing import Any, ClassVar


class HubError(Exception):
    """Base of all. `code` is part of the public contract: it never changes and is what metrics count by."""

    code: ClassVar[str] = "InternalServerError"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ApplicationError(HubError):
    """Raised by an application's function to tell its caller something; reaches JS as `ConvexError` with `data`.

    `data` is any value the wire can carry (see `hub.values`). A mutation that raises it writes nothing but its request
    record, so that a repeat gets the same answer.
    """

    code = "ApplicationError"

    def __init__(self, data: Any, message: str | None = None) -> None:
        super().__init__(message if message is not None else f"ApplicationError: {data!r}")
        self.data = data


# --- The caller's fault: the same call will fail again -------------------------------------------------------------


class BadRequest(HubError):
    """The request cannot be understood: JSON, value encoding, sizes, versions, header."""

    code = "BadRequest"


class ArgumentValidation(BadRequest):
    """The arguments do not fit the function's signature; the message names the argument."""

    code = "ArgumentValidationError"


class FunctionNotFound(BadRequest):
    """No such function for this caller: unknown, of another kind, internal, or of a kind the hub does not have."""

    code = "FunctionNotFound"


class InvalidCursor(BadRequest):
    """A pagination cursor that is not of this query; the message contains `InvalidCursor`, which React hooks look for."""

    code = "InvalidCursor"


class Unauthorized(HubError):
    """No identity where one is needed, or a token that does not verify."""

    code = "Unauthorized"


class Forbidden(HubError):
    """A known caller, or a web page of an origin, that may not do this."""

    code = "Forbidden"


class RequestOfAnotherCaller(HubError):
    """The request id is already recorded, for somebody else: neither run again nor shown the result."""

    code = "RequestOfAnotherCaller"


class RequestMismatch(HubError):
    """The request key is already recorded, with another function or other arguments (HTTP 422)."""

    code = "RequestMismatch"


# --- The function's fault ------------------------------------------------------------------------------------------


class FunctionError(HubError):
    """A function broke a rule of the hub: it awaited something else than `ctx`, returned what the wire cannot carry."""

    code = "FunctionError"


class FunctionCrashed(FunctionError):
    """A function raised something of its own. The message carries the text for developers; `reference` finds the traceback."""

    code = "FunctionCrashed"

    def __init__(self, message: str, reference: str = "") -> None:
        super().__init__(message)
        self.reference = reference


class LimitExceeded(FunctionError):
    """A documented limit was passed: run time, rows or bytes read or written, argument or result size, nesting."""

    code = "LimitExceeded"


class InvalidRow(FunctionError):
    """A row does not fit its table: on write it is refused, on read (others wrote it) only the queries that read it fail."""

    code = "InvalidRow"


class UniqueViolation(FunctionError):
    """A write would put a second row under one key of a unique index."""

    code = "UniqueViolation"


# --- Try later -----------------------------------------------------------------------------------------------------


class Unavailable(HubError):
    """The hub cannot do this now; nothing was done."""

    code = "Unavailable"


class NotCaughtUp(Unavailable):
    """The hub has not seen the timestamp that was asked for within the deadline."""

    code = "NotCaughtUp"


class TooManyConcurrentRequests(Unavailable):
    """A queue is full. The name is one the `convex` client knows: as a close reason it makes it wait 3 s instead of 1."""

    code = "TooManyConcurrentRequests"


class DeadlineExceeded(Unavailable):
    """A call did not finish in its time; nothing of it was committed."""

    code = "DeadlineExceeded"


class OutcomeUnknown(HubError):
    """The deadline passed before it was known whether the commit happened. Repeat with the same request id to learn it."""

    code = "OutcomeUnknown"


class SnapshotTooOld(Unavailable):
    """The database no longer has the history of that timestamp; take a newer one."""

    code = "SnapshotTooOld"


# --- Between the hub's own parts -----------------------------------------------------------------------------------


class Conflict(HubError):
    """The transaction lost against another writer and nothing of it was written: run again at a newer position."""

    code = "Conflict"


class DuplicateKey(Conflict):
    """A key that it writes was taken at the transaction's own position: a newer one alone does not help."""


# --- At start-up: one clear line, no traceback ---------------------------------------------------------------------


class ConfigError(HubError):
    """A setting or the surroundings do not allow a start; the message says what to do."""

    code = "ConfigError"


class LoadError(HubError):
    """An application does not load. `problems` has every mistake found, each with its place."""

    code = "LoadError"

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
