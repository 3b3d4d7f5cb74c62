"""The hub's client for Python programs: `HubClient`, and `AsyncHubClient` with the same methods.

Every error it raises is a `hub.HubError`; the classes worth catching by name are here. Nothing outside this package uses it.
"""

from hub.client.asynchronous import AsyncHubClient, AsyncSubscription
from hub.client.errors import FunctionFailed, MutationOutcomeUnknown, RateLimited, UnexpectedAnswer
from hub.client.options import Timeouts
from hub.client.outgoing import Pacing
from hub.client.references import Mutation, Page, PageOptions, Query
from hub.client.streams import AsyncTextStream, TextStream
from hub.client.sync import HubClient, Subscription
from hub.errors import (
    ApplicationError,
    ArgumentValidation,
    BadRequest,
    Conflict,
    Forbidden,
    FunctionCrashed,
    FunctionError,
    FunctionNotFound,
    HubError,
    NotCaughtUp,
    OutcomeUnknown,
    RequestMismatch,
    Unauthorized,
    Unavailable,
)
from hub.values import Int64

__all__ = [
    "ApplicationError",
    "ArgumentValidation",
    "AsyncHubClient",
    "AsyncSubscription",
    "AsyncTextStream",
    "BadRequest",
    "Conflict",
    "Forbidden",
    "FunctionCrashed",
    "FunctionError",
    "FunctionFailed",
    "FunctionNotFound",
    "HubClient",
    "HubError",
    "Int64",
    "Mutation",
    "MutationOutcomeUnknown",
    "NotCaughtUp",
    "OutcomeUnknown",
    "Pacing",
    "Page",
    "PageOptions",
    "Query",
    "RateLimited",
    "RequestMismatch",
    "Subscription",
    "TextStream",
    "Timeouts",
    "Unauthorized",
    "Unavailable",
    "UnexpectedAnswer",
]
