"""Who the client is: a token, a callback that fetches one, or the service key.

A fetched token is kept until the hub refuses it; then it is fetched anew, once for all calls that were refused with it. No
`repr` shows a secret.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

FetchToken: TypeAlias = Callable[[bool], str | None]
"""`fetch(refresh)`: a token, or None for nobody. With `refresh` the last one was refused, and a cached one is of no use."""
FetchTokenAsync: TypeAlias = Callable[[bool], Awaitable[str | None] | str | None]


@dataclass(frozen=True, slots=True, eq=False)
class Login:
    """What is shown to the hub. Two are the same only if they are one object: that tells a renewed one from the refused."""

    kind: Literal["User", "Admin"]
    secret: str = field(repr=False)

    def __post_init__(self) -> None:
        if not self.secret or not (self.secret.isascii() and self.secret.isprintable()):
            raise ValueError("a token or key is printable ASCII; is there a line feed at its end?")

    @property
    def header(self) -> str:
        return f"{'Bearer' if self.kind == 'User' else 'Convex'} {self.secret}"


def _fixed(token: object, service_key: str | None) -> Login | None:
    """The login that needs no fetching. Raises ValueError if it is said twice."""
    if token is not None and service_key is not None:
        raise ValueError("a client has a token or the service key, not both")
    if service_key is not None:
        return Login("Admin", service_key)
    return Login("User", token) if isinstance(token, str) else None


def _login(token: str | None) -> Login | None:
    return None if token is None else Login("User", token)


class Credentials:
    """Of the synchronous client; its threads share them."""

    def __init__(self, token: str | FetchToken | None, service_key: str | None) -> None:
        self._login = _fixed(token, service_key)
        self._fetch = token if callable(token) else None
        self._lock = threading.Lock()

    @property
    def can_renew(self) -> bool:
        return self._fetch is not None

    def current(self) -> Login | None:
        with self._lock:
            if self._login is None and self._fetch is not None:
                self._login = _login(self._fetch(False))
            return self._login

    def renew(self, refused: Login | None) -> None:
        """Fetch another login, unless somebody else did since this one was taken."""
        with self._lock:
            if self._login is refused and self._fetch is not None:
                self._login = _login(self._fetch(True))


class AsyncCredentials:
    """Of the asynchronous client. A callback that does not await may be a plain function."""

    def __init__(self, token: str | FetchTokenAsync | None, service_key: str | None) -> None:
        self._login = _fixed(token, service_key)
        self._fetch = token if callable(token) else None
        self._lock = asyncio.Lock()

    @property
    def can_renew(self) -> bool:
        return self._fetch is not None

    async def current(self) -> Login | None:
        if self._fetch is None or self._login is not None:
            return self._login
        async with self._lock:
            if self._login is None:
                self._login = await self._fetched(self._fetch, refresh=False)
            return self._login

    async def renew(self, refused: Login | None) -> None:
        """Fetch another login, unless somebody else did since this one was taken."""
        async with self._lock:
            if self._login is refused and self._fetch is not None:
                self._login = await self._fetched(self._fetch, refresh=True)

    async def _fetched(self, fetch: FetchTokenAsync, *, refresh: bool) -> Login | None:
        token = fetch(refresh)
        return _login(await token if inspect.isawaitable(token) else token)
