"""Who asks: verified claims, the service key, or nobody.

`Caller` is what the server found out about a request; `ctx.auth` and `ctx.is_trusted` show it to functions, and note that the
run looked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_PER_TOKEN_CLAIMS = frozenset({"iat", "exp", "nbf", "jti"})


@dataclass(frozen=True, slots=True)
class Identity:
    """A verified end user. `issuer` and `subject` name them for ever; `claims` are all claims of the token."""

    issuer: str
    subject: str
    claims: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Caller:
    """`is_trusted`: the service key speaks (or `hub dev` trusts a caller without a token); then `identity` is None."""

    identity: Identity | None = None
    is_trusted: bool = False

    @property
    def is_known(self) -> bool:
        return self.is_trusted or self.identity is not None

    @property
    def name(self) -> str:
        """Who a request record belongs to: issuer and subject, the service key, or nobody."""
        if self.identity is not None:
            return json.dumps([self.identity.issuer, self.identity.subject])
        return "service" if self.is_trusted else "nobody"

    @property
    def sharing_key(self) -> str:
        """Equal for callers to whom every function must answer alike: a token's renewal does not change it."""
        if self.identity is None:
            return self.name
        claims = {name: value for name, value in self.identity.claims.items() if name not in _PER_TOKEN_CLAIMS}
        return json.dumps([self.identity.issuer, self.identity.subject, claims], sort_keys=True, default=str)


NOBODY = Caller()
SERVICE = Caller(is_trusted=True)
