"""What `hub dev` makes for itself and keeps in its data directory: an issuer of tokens, and a service key.

Used by `hub dev`, which accepts both, and by `hub token`, which signs. `hub serve` knows neither. Files are private to their
owner and are made whole or not at all, so that two processes that start together end up with the same ones.
"""

from __future__ import annotations

import os
import secrets
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hub.errors import BadRequest, ConfigError
from hub.server.keysets import KeySet

ISSUER: Final = "urn:hub:dev"
AUDIENCE: Final = "urn:hub:dev"
ALGORITHM: Final = "EdDSA"
_KEY_ID: Final = "dev"
_KEY_FILE: Final = "dev-issuer.pem"
_ADMIN_FILE: Final = "admin-key"
_OWN_CLAIMS: Final = frozenset({"iss", "sub", "aud", "iat", "exp"})


@dataclass(frozen=True, slots=True)
class DevIssuer:
    """Signs tokens for any subject; only a `hub dev` with the same data directory believes them."""

    _key: Ed25519PrivateKey

    def sign(self, subject: str, *, claims: Mapping[str, Any], expires_s: float) -> str:
        """A token of this issuer. Raises BadRequest for claims that are not free to choose."""
        if not subject:
            raise BadRequest("a token needs a subject: who it speaks for")
        if taken := _OWN_CLAIMS.intersection(claims):
            raise BadRequest(f"the claim {min(taken)!r} is set by the issuer")
        now = int(time.time())
        own = {"iss": ISSUER, "sub": subject, "aud": AUDIENCE, "iat": now, "exp": now + int(expires_s)}
        return jwt.encode({**claims, **own}, self._key, algorithm=ALGORITHM, headers={"kid": _KEY_ID})

    def public_keys(self) -> KeySet:
        public = jwt.algorithms.OKPAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return KeySet(({**public, "kid": _KEY_ID, "alg": ALGORITHM, "use": "sig"},))


@dataclass(frozen=True, slots=True)
class AdminKey:
    """The service key of a `hub dev`, and the file it is kept in."""

    value: str
    path: Path


def open_issuer(data_dir: Path) -> DevIssuer:
    """The issuer of this data directory, made if there is none. Raises ConfigError."""
    path = data_dir / _KEY_FILE
    pem = _read_or_make(path, _new_key)
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except ValueError:
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{path} is not an Ed25519 key; remove it and the hub makes a new one")
    return DevIssuer(key)


def open_admin_key(data_dir: Path) -> AdminKey:
    """The service key of this data directory, made if there is none. Raises ConfigError."""
    path = data_dir / _ADMIN_FILE
    value = _read_or_make(path, _new_admin_key).decode("ascii", "replace").strip()
    if not value:
        raise ConfigError(f"{path} is empty; remove it and the hub makes a new key")
    return AdminKey(value, path)


def _new_admin_key() -> bytes:
    return f"{secrets.token_urlsafe(32)}\n".encode()


def _new_key() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _read_or_make(path: Path, make: Callable[[], bytes]) -> bytes:
    """The file's content. A new one is written aside and linked into place: `link` fails if another process was first."""
    try:
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # mode 0600
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(make())
                    file.flush()
                    os.fsync(file.fileno())
                os.link(aside, path)
            except FileExistsError:
                pass
            finally:
                os.unlink(aside)
        return path.read_bytes()
    except OSError as exc:
        raise ConfigError(f"{path}: {exc.strerror}") from None
