"""What a client is set up with: the hub's address, and how long anything may take.

Used by both clients. An address is checked when the client is made, so that a typo fails at once and not as a lost connection.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

MAX_CONNECTIONS: Final = 100
"""HTTP connections that one client keeps; calls beyond them wait for one, within their deadline."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. `deadline_s` is for a call with all its repeats, and for the first value of a subscription."""

    deadline_s: float = 30.0
    attempt_s: float = 15.0
    """One attempt. Longer than the hub's own deadline for a call, so that the hub says what happened."""
    connect_s: float = 5.0
    silence_s: float = 30.0
    """A subscription's connection that says nothing for so long is replaced. The hub says something every 15 s."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where the hub is. A path in the address is kept, for hubs behind a proxy."""

    http: str
    websocket: str

    @property
    def is_secure(self) -> bool:
        return self.http.startswith("https:")


def read_address(url: str) -> Address:
    """Raises ValueError unless it is the http or https address of a server."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"the hub's address must look like https://hub.example.com, not {url!r}")
    base = f"{parts.netloc}{parts.path.rstrip('/')}"
    is_secure = parts.scheme == "https"
    return Address(f"{parts.scheme}://{base}", f"{'wss' if is_secure else 'ws'}://{base}/api/sync")
