"""What an application imports, and nothing else: tables, functions and what they get and raise."""

from hub.errors import ApplicationError, HubError, InvalidRow, UniqueViolation
from hub.functions.context import MutationContext, QueryContext
from hub.functions.database import Database, Rows, WritableDatabase
from hub.functions.identity import Identity
from hub.functions.ids import Id
from hub.functions.indexes import Index
from hub.functions.objects import Model
from hub.functions.pagination import Page, PageOptions
from hub.functions.registry import mutation, query
from hub.functions.tables import Table
from hub.utf16 import append_at, utf16_length
from hub.values import Int64, ObjectId

__all__ = [
    "ApplicationError",
    "Database",
    "HubError",
    "Id",
    "Identity",
    "Index",
    "Int64",
    "InvalidRow",
    "Model",
    "MutationContext",
    "ObjectId",
    "Page",
    "PageOptions",
    "QueryContext",
    "Rows",
    "Table",
    "UniqueViolation",
    "WritableDatabase",
    "append_at",
    "mutation",
    "query",
    "utf16_length",
]

_NOT_HERE = {
    "action": "actions",
    "internal_action": "actions",
    "http_action": "HTTP routes",
    "http_router": "HTTP routes",
    "cron": "schedules",
    "cron_jobs": "schedules",
    "scheduler": "schedules",
    "schedule": "schedules",
    "storage": "file storage",
    "search": "text search",
    "search_index": "text search",
    "vector_index": "vector search",
}
_OTHERWISE = {
    "internal_query": "@query(internal=True)",
    "internal_mutation": "@mutation(internal=True)",
    "ConvexError": "ApplicationError(data), which reaches clients as ConvexError",
}


def __getattr__(name: str) -> object:
    """Say what the hub does not have, instead of that a name is unknown."""
    if name in _NOT_HERE:
        raise ImportError(f"this hub has no {_NOT_HERE[name]} ({name!r}): it has queries and mutations")
    if name in _OTHERWISE:
        raise ImportError(f"hub has no {name!r}: use {_OTHERWISE[name]}")
    raise AttributeError(f"module 'hub' has no attribute {name!r}")
