"""How both clients open a subscription's socket, and what its end means."""

from __future__ import annotations

import logging
import ssl
from typing import Any, Final

from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.headers import build_host
from websockets.uri import parse_uri

from hub.client.errors import refused
from hub.client.following import Broken
from hub.client.options import Timeouts

FRAME_MAX_BYTES: Final = 64 * 2**20
"""Four results of the largest size that the hub sends."""
CLOSE_TIMEOUT_S: Final = 1.0
_RETRIED: Final = (408, 425, 429)

library_log = logging.getLogger("hub.client.library")
library_log.setLevel(logging.INFO)  # at DEBUG the library writes every frame, and one of them holds the token

LOST: Final = (OSError, WebSocketException, Broken)
"""What a socket can end with, silence (TimeoutError) and a refused upgrade included."""


def socket_options(timeouts: Timeouts, tls: ssl.SSLContext | None) -> dict[str, Any]:
    """Arguments of `connect`, the same in both of the library's interfaces."""
    options: dict[str, Any] = {
        "open_timeout": timeouts.connect_s,
        "close_timeout": CLOSE_TIMEOUT_S,
        "max_size": FRAME_MAX_BYTES,
        "logger": library_log,
    }
    return options if tls is None else {**options, "ssl": tls}


def refuse_redirect(asked: str, host: str | None) -> None:
    """A redirect must not lead the token to another host: the library follows it. `host` is whom it asked in the end.

    Raises Forbidden.
    """
    uri = parse_uri(asked)
    if host is None or build_host(uri.host, uri.port, uri.secure).lower() != host.lower():
        raise refused(403, None, f"the hub's address redirects to {host}, which is not followed")


def read_loss(error: Exception) -> tuple[str, bool]:
    """The reason to report to the hub, and whether the hub closed the socket. Raises HubError if no other socket would help."""
    match error:
        case InvalidStatus() if 300 <= error.response.status_code < 500 and error.response.status_code not in _RETRIED:
            status = error.response.status_code
            raise refused(status, None, f"HTTP {status} instead of a WebSocket") from error
        case ConnectionClosed() if error.rcvd is not None:
            return error.rcvd.reason, True
        case InvalidStatus():
            return f"HTTP {error.response.status_code}", True
        case Broken():
            return str(error), True
        case TimeoutError():
            return "InactiveServer", False
        case _:
            return type(error).__name__, False
