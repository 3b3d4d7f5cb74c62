"""From what a request carries to who asks: bearer tokens, the service key, or nothing.

Called once for each HTTP call and each Authenticate of a socket. A caller is believed only what a signature of a pinned issuer,
for this audience, with a pinned algorithm proves. No error, log line or metric ever holds a token or a key.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias, assert_never

import jwt

from hub.clock import Clock
from hub.config import Settings, is_http_url
from hub.errors import Unauthorized
from hub.functions.identity import NOBODY, SERVICE, Caller, Identity
from hub.metrics import Metrics
from hub.protocol.messages import Authenticate
from hub.server import development
from hub.server.keysets import FixedKeys, KeySource, RemoteKeys, read_keys

log = logging.getLogger(__name__)

EpochSeconds: TypeAlias = float

_REASONS: Final[tuple[tuple[type[jwt.PyJWTError], str], ...]] = (
    (jwt.ExpiredSignatureError, "the token has expired"),
    (jwt.ImmatureSignatureError, "the token is not valid yet"),
    (jwt.InvalidIssuedAtError, "the token's `iat` is not a time"),
    (jwt.InvalidAudienceError, "the token is meant for another audience"),
    (jwt.exceptions.InvalidSubjectError, "the token's `sub` is not a string"),
    (jwt.MissingRequiredClaimError, "the token lacks one of `iss`, `sub`, `exp`, `aud`"),
    (jwt.InvalidSignatureError, "the token's signature does not verify"),
    (jwt.InvalidKeyError, "the key of the token's issuer is too weak"),
)
"""What a caller is told. The library's own texts are not passed on: some of them quote the key or the token."""

_ATTRIBUTE_CLAIMS: Final = {
    "pictureUrl": "picture",
    "profileUrl": "profile",
    "websiteUrl": "website",
    "timezone": "zoneinfo",
    "language": "locale",
    "givenName": "given_name",
    "familyName": "family_name",
    "preferredUsername": "preferred_username",
    "emailVerified": "email_verified",
    "phoneNumber": "phone_number",
    "phoneNumberVerified": "phone_number_verified",
    "updatedAt": "updated_at",
}
"""Convex's names of user attributes, and OpenID Connect's of the same claims (Core 1.0, 5.1)."""


@dataclass(frozen=True, slots=True)
class Trust:
    """What is believed of one issuer: which keys, algorithms and audience. No audience: only tokens that name none."""

    keys: KeySource
    algorithms: tuple[str, ...]
    audience: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verified:
    """A token that proved itself, until `expires_at` (its `exp`, and the leeway that clocks may differ by)."""

    identity: Identity
    expires_at: EpochSeconds


class Authenticator:
    """Decides who asks. `anyone` is who comes with nothing: nobody, or in `hub dev` on loopback a trusted caller."""

    def __init__(
        self,
        trusts: Mapping[str, Trust],
        *,
        admin_key: str | None = None,
        anyone: Caller = NOBODY,
        other_issuers: Trust | None = None,
        leeway_s: float = 5.0,
        token_max_bytes: int = 16 * 1024,
    ) -> None:
        self._trusts, self._other_issuers = dict(trusts), other_issuers
        self._admin_key = admin_key
        self._anyone = anyone
        self._leeway_s, self._token_max_bytes = leeway_s, token_max_bytes

    async def caller(self, authorization: str | None) -> Caller:
        """Who sends this `Authorization` header. Raises Unauthorized with a plain reason, Unavailable without keys."""
        if authorization is None:
            return self._anyone
        scheme, _, credentials = authorization.strip().partition(" ")
        match scheme.lower():
            case "bearer":
                return Caller(await self.verify_bearer(credentials.strip()))
            case "convex":
                return self._service(credentials.strip())
            case _:
                raise Unauthorized("the Authorization header must be `Bearer <token>` or `Convex <service key>`")

    async def for_socket(self, message: Authenticate) -> tuple[Caller, EpochSeconds | None]:
        """Who a socket speaks for from now on, and when that ends. Raises as `caller` does."""
        match message.token_type:
            case "None":
                return self._anyone, None
            case "User":
                verified = await self.verify(message.value)
                return Caller(verified.identity), verified.expires_at
            case "Admin":
                return self._act(message.value, message.acting_as), None
            case _:
                assert_never(message.token_type)

    async def verify_bearer(self, token: str) -> Identity:
        return (await self.verify(token)).identity

    async def verify(self, token: str) -> Verified:
        """What the token proves. Raises Unauthorized, or Unavailable while its issuer's keys cannot be had."""
        header, issuer = self._look(token)
        trust = self._trusts.get(issuer, self._other_issuers)
        if trust is None:
            raise Unauthorized("the token's issuer is not accepted")
        algorithm, key_id = header.get("alg"), header.get("kid")
        if algorithm not in trust.algorithms:
            raise Unauthorized("the token's algorithm is not accepted")
        key = await trust.keys.find(algorithm, key_id)
        return self._check(token, key, trust, issuer)

    async def aclose(self) -> None:
        for trust in [*self._trusts.values(), *([self._other_issuers] if self._other_issuers else [])]:
            await trust.keys.aclose()

    def _look(self, token: str) -> tuple[dict[str, Any], str]:
        """Header and `iss`, of which nothing is believed yet: they only say what to check it with."""
        if len(token) > self._token_max_bytes:
            raise Unauthorized(f"the token is longer than {self._token_max_bytes} bytes")
        try:
            seen = jwt.decode_complete(token, options={"verify_signature": False})
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise Unauthorized("the token is not a JWT") from None
        issuer = seen["payload"].get("iss")
        return seen["header"], issuer if isinstance(issuer, str) else ""

    def _check(self, token: str, key: jwt.PyJWK, trust: Trust, issuer: str) -> Verified:
        required = ["iss", "sub", "exp", *(["aud"] if trust.audience else [])]
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=list(trust.algorithms),
                audience=list(trust.audience) or None,
                issuer=issuer,
                leeway=self._leeway_s,
                options={"require": required, "enforce_minimum_key_length": True},
            )
        except jwt.PyJWTError as exc:
            reason = next((text for kind, text in _REASONS if isinstance(exc, kind)), "the token is not valid")
            raise Unauthorized(reason) from None
        except (ValueError, OverflowError, RecursionError):  # an `exp` that is no number
            raise Unauthorized("the token is not valid") from None
        if not claims["sub"] or not issuer:
            raise Unauthorized("the token's `sub` or `iss` is empty")
        return Verified(Identity(issuer, claims["sub"], claims), int(claims["exp"]) + self._leeway_s)

    def _service(self, credentials: str) -> Caller:
        """`<key>` or `<key>:<base64 JSON of user attributes>`; the key itself may have colons."""
        if self._is_admin_key(credentials):
            return SERVICE
        key, _, encoded = credentials.rpartition(":")
        if not self._is_admin_key(key):
            raise Unauthorized("the service key is not the one of this hub")
        try:
            attributes = json.loads(base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True))
        except (binascii.Error, ValueError, RecursionError):
            raise Unauthorized("the user attributes after the service key are not base64 of JSON") from None
        return self._act(key, attributes)

    def _act(self, key: str, attributes: object) -> Caller:
        """The service, or the user it speaks for: with that user's rights, not its own."""
        if not self._is_admin_key(key):
            raise Unauthorized("the service key is not the one of this hub")
        return SERVICE if attributes is None else Caller(_identity_of(attributes))

    def _is_admin_key(self, given: str) -> bool:
        if not self._admin_key:
            return False
        return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), self._admin_key.encode())


def _identity_of(attributes: object) -> Identity:
    """The user whom the service names, in the claims a token of theirs would have."""
    if isinstance(attributes, dict):
        issuer, subject = attributes.get("issuer"), attributes.get("subject")
        if isinstance(issuer, str) and issuer and isinstance(subject, str) and subject:
            named = {name: value for name, value in attributes.items() if name not in ("issuer", "subject", "tokenIdentifier")}
            claims = {_ATTRIBUTE_CLAIMS.get(name, name): value for name, value in named.items()}
            return Identity(issuer, subject, {**claims, "iss": issuer, "sub": subject})
    raise Unauthorized("the user attributes need `issuer` and `subject`")


def for_serve(settings: Settings, clock: Clock, metrics: Metrics) -> Authenticator:
    """Nobody without a token. Raises ConfigError for a key set that cannot be read."""
    secret = settings.admin_key.get_secret_value() if settings.admin_key else None
    return _build(settings, _trusts(settings, clock, metrics), admin_key=secret, anyone=NOBODY)


def for_dev(settings: Settings, clock: Clock, metrics: Metrics) -> tuple[Authenticator, development.AdminKey | None]:
    """Its own issuer beside the configured ones, and on loopback trust in whoever comes with nothing.

    Also returns the service key if it had to be made, for its path to be printed. Raises ConfigError.
    """
    own = Trust(
        FixedKeys(development.open_issuer(settings.data_dir).public_keys()), (development.ALGORITHM,), (development.AUDIENCE,)
    )
    made = None if settings.admin_key else development.open_admin_key(settings.data_dir)
    secret = made.value if made else settings.admin_key.get_secret_value() if settings.admin_key else None
    trusts = {**_trusts(settings, clock, metrics), development.ISSUER: own}
    anyone = SERVICE if settings.listens_on_loopback else NOBODY
    return _build(settings, trusts, admin_key=secret, anyone=anyone), made


def _build(settings: Settings, trusts: dict[str, Trust], *, admin_key: str | None, anyone: Caller) -> Authenticator:
    return Authenticator(
        trusts,
        admin_key=admin_key,
        anyone=anyone,
        other_issuers=_trust_in_any_issuer(settings),
        leeway_s=settings.auth_leeway_s,
        token_max_bytes=settings.auth_token_max_bytes,
    )


def _trusts(settings: Settings, clock: Clock, metrics: Metrics) -> dict[str, Trust]:
    """One for each configured issuer; a key set that is given serves them all, without discovery.

    That shared secrets (HS*) come from a file alone, never from a document that anybody can read, `Settings` has checked.
    """
    shared: KeySource | None = None
    if settings.auth_jwks is not None:
        is_remote = is_http_url(settings.auth_jwks)
        shared = RemoteKeys(settings, clock, metrics, jwks_url=settings.auth_jwks) if is_remote else _file(settings)
    return {
        issuer: Trust(
            shared or RemoteKeys(settings, clock, metrics, issuer=issuer), settings.auth_algorithms, settings.auth_audience
        )
        for issuer in settings.auth_issuers
    }


def _trust_in_any_issuer(settings: Settings) -> Trust | None:
    """A key set file without issuers: the operator's own keys, which may sign under any name."""
    if settings.auth_jwks is None or settings.auth_issuers or is_http_url(settings.auth_jwks):
        return None
    log.warning("HUB_AUTH_ISSUERS is not set: a token of any issuer is accepted if a key of HUB_AUTH_JWKS signed it")
    return Trust(_file(settings), settings.auth_algorithms, settings.auth_audience)


def _file(settings: Settings) -> FixedKeys:
    assert settings.auth_jwks is not None
    return read_keys(Path(settings.auth_jwks).expanduser())
