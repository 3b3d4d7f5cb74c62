"""The public keys that tokens are checked with: a fixed set, or an issuer's own, fetched and kept current.

Called by `hub.server.tokens`. A key is only ever used with an algorithm of its own kind, so that a token cannot turn a public
key into a shared secret; known keys serve on while their issuer is away; nobody can make the hub fetch more often than
`auth_keys_retry_s` by sending key ids it does not know.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import httpx
import jwt

from hub.clock import Clock
from hub.config import Settings, is_http_url, is_loopback_host
from hub.errors import ConfigError, Unauthorized, Unavailable
from hub.metrics import Metrics

log = logging.getLogger(__name__)

MAX_DOCUMENT_BYTES: Final = 1024 * 1024
_FIRST_RETRY_S: Final = 1.0
"""Between fetches while no key is known at all: every token waits for them then."""

_CURVES: Final = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}


class KeySource(Protocol):
    async def find(self, algorithm: str, key_id: str | None) -> jwt.PyJWK:
        """The key a token's header names. Raises Unauthorized if there is none, Unavailable if that cannot be known now."""
        ...

    async def aclose(self) -> None: ...


class KeySet:
    """Keys of one JWKS document (RFC 7517)."""

    def __init__(self, keys: tuple[Mapping[str, Any], ...]) -> None:
        self._keys = keys
        self._prepared: dict[tuple[int, str], jwt.PyJWK] = {}

    @classmethod
    def parse(cls, document: bytes) -> KeySet:
        """Raises ValueError, without any of the document in it: it may hold secrets."""
        keys = _json_object(document).get("keys")
        if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
            raise ValueError("not a JSON Web Key Set: it has no list of `keys`")
        return cls(tuple(keys))

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, algorithm: str, key_id: str | None) -> jwt.PyJWK | None:
        """The one key that fits: of that id, else the only one that has no id of its own, or the only one at all."""
        fitting = [n for n, key in enumerate(self._keys) if _fits(key, algorithm)]
        if key_id is None:
            chosen = fitting
        else:
            named = [n for n in fitting if self._keys[n].get("kid") == key_id]
            chosen = named or [n for n in fitting if "kid" not in self._keys[n]]
        return self._prepare(chosen[0], algorithm) if len(chosen) == 1 else None

    def _prepare(self, n: int, algorithm: str) -> jwt.PyJWK | None:
        """Parsed once. A key that does not parse is as good as none."""
        if (n, algorithm) not in self._prepared:
            try:
                self._prepared[n, algorithm] = jwt.PyJWK(dict(self._keys[n]), algorithm)
            except (jwt.PyJWTError, ValueError):  # its text shows the key
                log.warning("a key of a key set cannot be used", extra={"kid": str(self._keys[n].get("kid"))[:80]})
                return None
        return self._prepared[n, algorithm]


def _fits(key: Mapping[str, Any], algorithm: str) -> bool:
    """Whether the key is of the algorithm's kind and not declared for something else."""
    match algorithm[:2]:
        case "RS" | "PS":
            is_kind = key.get("kty") == "RSA"
        case "ES":
            is_kind = key.get("kty") == "EC" and key.get("crv") == _CURVES.get(algorithm)
        case "Ed":
            is_kind = key.get("kty") == "OKP" and key.get("crv") in ("Ed25519", "Ed448")
        case "HS":
            is_kind = key.get("kty") == "oct"
        case _:
            is_kind = False
    return is_kind and key.get("alg", algorithm) == algorithm and key.get("use", "sig") == "sig"


@dataclass(frozen=True, slots=True)
class FixedKeys:
    """Keys that were known at the start."""

    keys: KeySet

    async def find(self, algorithm: str, key_id: str | None) -> jwt.PyJWK:
        return _known(self.keys.find(algorithm, key_id))

    async def aclose(self) -> None:
        pass


def read_keys(path: Path) -> FixedKeys:
    """The key set in a file. Raises ConfigError."""
    try:
        return FixedKeys(KeySet.parse(path.read_bytes()))
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else exc
        raise ConfigError(f"HUB_AUTH_JWKS={path}: {reason}") from None


class RemoteKeys:
    """An issuer's key set, found by OpenID Connect Discovery (`issuer`) or fetched from its own address (`jwks_url`).

    `_keys` were fetched at `_fetched_at`. Past `auth_keys_max_age_s` they are refreshed while they still serve; past
    `auth_keys_stale_s` on top they no longer do. At most one fetch runs, in `_running`, which `aclose` ends.
    """

    def __init__(
        self, settings: Settings, clock: Clock, metrics: Metrics, *, issuer: str | None = None, jwks_url: str | None = None
    ) -> None:
        assert (issuer is None) != (jwks_url is None)
        self._settings, self._clock, self._metrics = settings, clock, metrics
        self._issuer, self._jwks_url = issuer, jwks_url
        self._keys: KeySet | None = None
        self._fetched_at = self._failed_at = self._asked_at = -math.inf
        self._running: asyncio.Task[None] | None = None
        _warn_if_plain(issuer or jwks_url or "")

    async def find(self, algorithm: str, key_id: str | None) -> jwt.PyJWK:
        keys = await self._current()
        key = keys.find(algorithm, key_id)
        if key is None and self._may_ask_again():
            self._asked_at = self._clock.monotonic()
            await self._refresh()
            key = (self._keys or keys).find(algorithm, key_id)
        return _known(key)

    async def aclose(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def _current(self) -> KeySet:
        """The keys to use now; waits for them only when there are none that may serve."""
        age_s = self._clock.monotonic() - self._fetched_at
        usable_s = self._settings.auth_keys_max_age_s + self._settings.auth_keys_stale_s
        if (self._keys is None or age_s > usable_s) and self._may_retry(min(_FIRST_RETRY_S, self._settings.auth_keys_retry_s)):
            await self._refresh()
            age_s = self._clock.monotonic() - self._fetched_at
        elif age_s > self._settings.auth_keys_max_age_s and self._may_retry(self._settings.auth_keys_retry_s):
            self._start()
        if self._keys is None or age_s > usable_s:
            raise Unavailable(f"the keys of {self._issuer or self._jwks_url} cannot be fetched; try again")
        return self._keys

    def _may_retry(self, interval_s: float) -> bool:
        return self._clock.monotonic() - self._failed_at >= interval_s

    def _may_ask_again(self) -> bool:
        """A key id that is not known may be a new one; asking for it is limited, whoever sends such ids."""
        interval_s = self._settings.auth_keys_retry_s
        return self._clock.monotonic() - self._asked_at >= interval_s and self._may_retry(interval_s)

    async def _refresh(self) -> None:
        # shielded: the fetch is everybody's, a caller that goes away must not end it for the others
        await asyncio.shield(self._start())

    def _start(self) -> asyncio.Task[None]:
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._fetch(), name=f"keys of {self._issuer or self._jwks_url}")
        return self._running

    async def _fetch(self) -> None:
        """Never raises: what went wrong is logged, and shows in what `find` then has."""
        try:
            async with asyncio.timeout(self._settings.auth_keys_timeout_s), httpx.AsyncClient() as client:
                self._keys = await self._get_keys(client)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError) as exc:
            self._failed_at = self._clock.monotonic()
            self._metrics.key_fetches.labels("failed").inc()
            source = self._issuer or self._jwks_url
            log.warning("an issuer's keys cannot be fetched", extra={"source": source, "error": f"{type(exc).__name__}: {exc}"})
        else:
            self._fetched_at, self._failed_at = self._clock.monotonic(), -math.inf
            self._metrics.key_fetches.labels("ok").inc()

    async def _get_keys(self, client: httpx.AsyncClient) -> KeySet:
        url = self._jwks_url
        if self._issuer is not None:
            found = _json_object(await _get(client, self._issuer.rstrip("/") + "/.well-known/openid-configuration"))
            if found.get("issuer") != self._issuer:  # OpenID Connect Discovery 1.0, 4.3
                raise ValueError("its discovery document names another issuer")
            url = found.get("jwks_uri")
        if not isinstance(url, str) or not is_http_url(url):
            raise ValueError("its discovery document has no `jwks_uri`")
        keys = KeySet.parse(await _get(client, url))
        if not keys:
            raise ValueError("its key set is empty")
        return keys


async def _get(client: httpx.AsyncClient, url: str) -> bytes:
    """The body, not followed elsewhere and not larger than a key set can sensibly be."""
    async with client.stream("GET", url, headers={"accept": "application/json"}) as response:
        if response.status_code != httpx.codes.OK:
            raise ValueError(f"{url} answered {response.status_code}")
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > MAX_DOCUMENT_BYTES:
                raise ValueError(f"{url} answered more than {MAX_DOCUMENT_BYTES} bytes")
        return bytes(body)


def _json_object(document: bytes) -> dict[str, Any]:
    try:
        tree = json.loads(document)
    except (ValueError, RecursionError):
        raise ValueError("not JSON") from None
    if not isinstance(tree, dict):
        raise ValueError("not a JSON object")
    return tree


def _known(key: jwt.PyJWK | None) -> jwt.PyJWK:
    if key is None:
        raise Unauthorized("the token is signed with a key that its issuer does not have")
    return key


def _warn_if_plain(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme == "http" and not is_loopback_host(parts.hostname or ""):
        log.warning("an issuer's keys are fetched without TLS: whoever is on the way can forge tokens", extra={"url": url})
