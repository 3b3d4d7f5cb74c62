"""Drives the published Python client, as a process of its own: it can wait inside Rust while holding the GIL.

`python pypi_client.py <address> <what> <function> <args> [<token>]`, where `what` is `watch` (every value until the process is
killed) or one call: `query`, `mutation`, `action` over the WebSocket, `http-query`, `http-mutation` over HTTP. One JSON event a
line on stdout.
"""

from __future__ import annotations

import json
import sys
from typing import Any, TypeVar

from convex import ConvexClient, ConvexError
from convex.http_client import ConvexHttpClient

Client = TypeVar("Client", ConvexClient, ConvexHttpClient)


def emit(**event: Any) -> None:
    print(json.dumps(event), flush=True)


def connect(kind: type[Client], address: str, token: str | None) -> Client:
    client = kind(address)
    if token is not None:
        client.set_auth(token)
    return client


def watch(client: ConvexClient, function: str, args: dict[str, Any]) -> None:
    for value in client.subscribe(function, args):
        emit(event="update", value=value)


def call(client: ConvexClient | ConvexHttpClient, kind: str, function: str, args: dict[str, Any]) -> None:
    try:
        emit(event="done", value=getattr(client, kind)(function, args))
    except ConvexError as error:
        emit(event="failed", message=str(error), isConvexError=True, data=error.data)
    except Exception as error:
        emit(event="failed", message=str(error), isConvexError=False)


def main(address: str, what: str, function: str, args: str, token: str | None = None) -> None:
    emit(event="started")
    if what == "watch":
        watch(connect(ConvexClient, address, token), function, json.loads(args))
    elif what.startswith("http-"):
        call(connect(ConvexHttpClient, address, token), what.removeprefix("http-"), function, json.loads(args))
    else:
        call(connect(ConvexClient, address, token), what, function, json.loads(args))


if __name__ == "__main__":
    main(*sys.argv[1:])
