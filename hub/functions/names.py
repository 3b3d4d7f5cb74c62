"""Names: snake_case in Python, camelCase on the wire and in the database, converted here and nowhere else."""

from __future__ import annotations


def to_camel(name: str) -> str:
    """`client_message_id` becomes `clientMessageId`; a trailing underscore (`list_`, `from_`) only avoids a Python name."""
    head, *rest = name.rstrip("_").split("_") if name.strip("_") else [name]
    return head + "".join(part[:1].upper() + part[1:] for part in rest)


def function_name(module: str, function: str) -> str:
    """`("admin.chat_rooms", "stream_upsert")` becomes `admin/chatRooms:streamUpsert`."""
    return "/".join(to_camel(part) for part in module.split(".")) + ":" + to_camel(function)


def canonical_path(path: str) -> str:
    """One form of a function's path: `m`, `m:default` and `m.js:default` are the same function.

    Source: the sync protocol's function paths (split at the last colon, strip `.js`).
    """
    module, colon, function = path.rpartition(":")
    if not colon:
        module, function = path, "default"
    return f"{module.removesuffix('.js')}:{function}"
