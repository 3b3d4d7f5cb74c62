"""Who asks: only what a signature of a pinned issuer, for this audience, with a pinned algorithm proves."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hub import config
from hub.errors import ConfigError, HubError, Unauthorized
from hub.functions.identity import NOBODY, SERVICE, Caller
from hub.metrics import Metrics
from hub.protocol.messages import Authenticate
from hub.server import development, tokens
from hub.server.keysets import FixedKeys, KeySet
from hub.server.tokens import Authenticator, Trust
from hub.values import Value
from tests.server.support import AUDIENCE, ManualClock, ec_key, ed_key, public_jwk, rsa_key, signed

ISSUER = "https://issuer.example"
KEY = "service-key-with-a-colon:inside"
ATTRIBUTES: dict[str, Value] = {
    "issuer": ISSUER,
    "subject": "alice",
    "tokenIdentifier": f"{ISSUER}|alice",
    "email": "a@b",
    "emailVerified": True,
}


def trusting(*keys: dict[str, Any], algorithms: tuple[str, ...] = ("RS256", "ES256", "EdDSA"), **options: Any) -> Authenticator:
    trust = Trust(FixedKeys(KeySet(keys or (public_jwk(rsa_key(), kid="k1"),))), algorithms, (AUDIENCE,))
    return Authenticator({ISSUER: trust}, admin_key=KEY, **options)


def acting_as(attributes: object, key: str = KEY) -> str:
    return f"Convex {key}:{base64.b64encode(json.dumps(attributes).encode()).decode()}"


async def reason(authenticator: Authenticator, authorization: str) -> str:
    with pytest.raises(Unauthorized) as caught:
        await authenticator.caller(authorization)
    return caught.value.message


# --- bearer tokens -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        pytest.param(rsa_key(), "RS256", id="RS256"),
        pytest.param(ec_key(), "ES256", id="ES256"),
        pytest.param(ed_key(), "EdDSA", id="EdDSA"),
    ],
)
async def test_a_right_token_gives_its_issuer_subject_and_claims(key: Any, algorithm: str) -> None:
    token = signed(key, algorithm, email="a@b", aud=["other", AUDIENCE])

    caller = await trusting(public_jwk(key, kid="k1")).caller(f"bearer {token}")

    assert caller.identity is not None
    assert (caller.identity.issuer, caller.identity.subject, caller.identity.claims["email"]) == (ISSUER, "alice", "a@b")
    assert not caller.is_trusted


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        pytest.param(lambda: signed(rsa_key(), exp=int(time.time()) - 6), "has expired", id="expired"),
        pytest.param(lambda: signed(rsa_key(), exp=None), "lacks one of", id="never expires"),
        pytest.param(lambda: signed(rsa_key(), sub=None), "lacks one of", id="no subject"),
        pytest.param(lambda: signed(rsa_key(), sub=""), "is empty", id="empty subject"),
        pytest.param(lambda: signed(rsa_key(), aud=None), "lacks one of", id="no audience"),
        pytest.param(lambda: signed(rsa_key(), aud="other"), "another audience", id="wrong audience"),
        pytest.param(lambda: signed(rsa_key(), iss="https://evil.example"), "issuer is not accepted", id="wrong issuer"),
        pytest.param(lambda: signed(rsa_key(), iss=f"{ISSUER}/"), "issuer is not accepted", id="almost the issuer"),
        pytest.param(lambda: signed(rsa_key(), iss=None), "issuer is not accepted", id="no issuer"),
        pytest.param(lambda: signed(rsa_key(), nbf=int(time.time()) + 60), "not valid yet", id="not yet"),
        pytest.param(lambda: signed(rsa_key(), iat=int(time.time()) + 60), "not valid yet", id="issued in the future"),
        pytest.param(lambda: signed(rsa_key("mallory")), "signature does not verify", id="signed by somebody else"),
        pytest.param(lambda: signed(rsa_key(), kid="k9"), "a key that its issuer does not have", id="unknown key id"),
        pytest.param(lambda: signed(rsa_key(), "RS512"), "algorithm is not accepted", id="algorithm that is not pinned"),
        pytest.param(lambda: signed(ec_key(), "ES256"), "a key that its issuer does not have", id="key of another kind"),
        pytest.param(lambda: jwt.encode({"iss": ISSUER}, "", "none"), "algorithm is not accepted", id="alg none"),
        pytest.param(lambda: signed(rsa_key())[:-6] + "AAAAAA", "signature does not verify", id="tampered signature"),
        pytest.param(lambda: "not.a.token", "not a JWT", id="no token"),
        pytest.param(lambda: "", "not a JWT", id="nothing"),
        pytest.param(lambda: "é.é.é", "not a JWT", id="not ASCII"),
        pytest.param(lambda: "x" * 20_000, "longer than 16384 bytes", id="oversized"),
    ],
)
async def test_a_token_that_is_wrong_in_one_way_is_refused_with_that_reason(token: Any, expected: str) -> None:
    assert expected in await reason(trusting(), f"Bearer {token()}")


async def test_a_public_key_is_never_used_as_a_shared_secret() -> None:
    """The classic confusion: HS256 with the issuer's public key, which everybody has, as the secret."""
    public = rsa_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def part(value: object) -> bytes:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

    claims = {"iss": ISSUER, "sub": "alice", "aud": AUDIENCE, "exp": int(time.time()) + 600}
    body = part({"alg": "HS256", "kid": "k1"}) + b"." + part(claims)
    forged = body + b"." + base64.urlsafe_b64encode(hmac.digest(public, body, hashlib.sha256)).rstrip(b"=")

    assert "algorithm is not accepted" in await reason(trusting(), f"Bearer {forged.decode()}")
    lenient = trusting(algorithms=("RS256", "HS256"))  # even where an operator accepts both
    assert "a key that its issuer does not have" in await reason(lenient, f"Bearer {forged.decode()}")


async def test_a_shared_secret_works_where_it_is_asked_for() -> None:
    secret = "s" * 32
    jwk = {"kty": "oct", "kid": "k1", "k": base64.urlsafe_b64encode(secret.encode()).rstrip(b"=").decode()}

    caller = await trusting(jwk, algorithms=("HS256",)).caller(f"Bearer {signed(secret, 'HS256')}")

    assert caller.identity is not None


async def test_a_key_that_is_too_weak_proves_nothing() -> None:
    jwk = {"kty": "oct", "kid": "k1", "k": base64.urlsafe_b64encode(b"short").rstrip(b"=").decode()}
    body = ".".join(signed("s" * 32, "HS256").split(".")[:2])
    signature = base64.urlsafe_b64encode(hmac.digest(b"short", body.encode(), hashlib.sha256)).rstrip(b"=").decode()

    assert "too weak" in await reason(trusting(jwk, algorithms=("HS256",)), f"Bearer {body}.{signature}")


async def test_nested_json_in_a_header_is_refused_and_breaks_nothing() -> None:
    deep = base64.urlsafe_b64encode(b'{"a":' + b"[" * 100_000).rstrip(b"=").decode()
    roomy = trusting(token_max_bytes=1_000_000)
    right = signed(rsa_key()).split(".")

    assert "not a JWT" in await reason(roomy, f"Bearer {deep}.{right[1]}.c2ln")
    assert "not a JWT" in await reason(roomy, f"Bearer {right[0]}.{deep}.c2ln")


async def test_clocks_may_differ_by_the_leeway_and_no_more() -> None:
    expired = f"Bearer {signed(rsa_key(), exp=int(time.time()) - 3)}"

    assert (await trusting(leeway_s=60).caller(expired)).identity is not None
    assert "has expired" in await reason(trusting(leeway_s=0), expired)


async def test_a_socket_hears_until_when_its_token_is_believed() -> None:
    exp = int(time.time()) + 100
    message = Authenticate(0, "User", signed(rsa_key(), exp=exp))

    caller, expires_at = await trusting(leeway_s=5).for_socket(message)

    assert caller.identity is not None
    assert expires_at == exp + 5


async def test_no_reason_quotes_the_token() -> None:
    for token in (signed(rsa_key("mallory"), sub="topsecret"), "topsecret", "topsecret.topsecret.topsecret"):
        told = await reason(trusting(), f"Bearer {token}")
        assert not any(part in told for part in token.split("."))


# --- the service key, and those it speaks for ----------------------------------------------------------------------


async def test_the_service_key_is_trusted() -> None:
    assert await trusting().caller(f"Convex {KEY}") == SERVICE
    assert await trusting().for_socket(Authenticate(0, "Admin", KEY)) == (SERVICE, None)


@pytest.mark.parametrize("given", ["", "wrong", KEY[:-1], f"{KEY}x", f"x:{KEY}", "ключ", "\ud800"])
async def test_another_key_is_not(given: str) -> None:
    with pytest.raises(Unauthorized, match="not the one of this hub"):
        await trusting().for_socket(Authenticate(0, "Admin", given))
    with pytest.raises(Unauthorized, match="not the one of this hub"):
        await trusting().caller(f"Convex {given}")


async def test_without_a_service_key_no_key_is_right() -> None:
    authenticator = Authenticator({})

    for given in ("", "None", ":"):
        assert "not the one of this hub" in await reason(authenticator, f"Convex {given}")


async def test_the_service_key_speaks_for_a_user_with_that_users_rights() -> None:
    authenticator = trusting()

    over_http = await authenticator.caller(acting_as(ATTRIBUTES))
    over_socket, expires_at = await authenticator.for_socket(Authenticate(0, "Admin", KEY, acting_as=ATTRIBUTES))

    assert over_http == over_socket
    assert expires_at is None
    assert not over_http.is_trusted
    assert over_http.identity is not None
    assert (over_http.identity.issuer, over_http.identity.subject) == (ISSUER, "alice")
    assert over_http.identity.claims == {"iss": ISSUER, "sub": "alice", "email": "a@b", "email_verified": True}


@pytest.mark.parametrize(
    "attributes", [[], "alice", {"subject": "alice"}, {"issuer": "", "subject": "a"}, {"issuer": 1, "subject": "a"}]
)
async def test_attributes_that_name_no_user_are_refused(attributes: object) -> None:
    assert "need `issuer` and `subject`" in await reason(trusting(), acting_as(attributes))


async def test_attributes_that_are_no_json_are_refused() -> None:
    assert "not base64 of JSON" in await reason(trusting(), f"Convex {KEY}:%%%")


async def test_attributes_with_a_wrong_key_are_not_even_read() -> None:
    assert "not the one of this hub" in await reason(trusting(), acting_as(ATTRIBUTES, key="wrong"))


# --- nothing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("anyone", [NOBODY, SERVICE])
async def test_who_comes_with_nothing_is_whoever_the_hub_takes_them_for(anyone: Caller) -> None:
    authenticator = trusting(anyone=anyone)

    assert await authenticator.caller(None) == anyone
    assert await authenticator.for_socket(Authenticate(1, "None")) == (anyone, None)


@pytest.mark.parametrize("header", ["", " ", "Basic YTpi", "token", "Bearer", "Convex"])
async def test_a_header_that_proves_nothing_is_not_the_same_as_none(header: str) -> None:
    with pytest.raises(Unauthorized):
        await trusting(anyone=SERVICE).caller(header)


# --- from settings -------------------------------------------------------------------------------------------------


def settings(tmp_path: Path, **given: Any) -> config.Settings:
    return config.load(data_dir=tmp_path / "data", **given)


async def test_development_is_its_own_issuer_and_trusts_loopback(tmp_path: Path) -> None:
    authenticator, admin_key = tokens.for_dev(settings(tmp_path), ManualClock(), Metrics())
    token = development.open_issuer(tmp_path / "data").sign("alice", claims={"role": "x"}, expires_s=60)

    caller = await authenticator.caller(f"Bearer {token}")

    assert caller.identity is not None
    assert (caller.identity.subject, caller.identity.claims["role"]) == ("alice", "x")
    assert await authenticator.caller(None) == SERVICE
    assert admin_key is not None
    assert await authenticator.caller(f"Convex {admin_key.value}") == SERVICE


async def test_development_beyond_loopback_trusts_nobody_without_a_token(tmp_path: Path) -> None:
    authenticator, _ = tokens.for_dev(settings(tmp_path, host="0.0.0.0"), ManualClock(), Metrics())

    assert await authenticator.caller(None) == NOBODY


async def test_a_configured_service_key_is_the_one_and_none_is_made(tmp_path: Path) -> None:
    authenticator, made = tokens.for_dev(settings(tmp_path, admin_key=KEY), ManualClock(), Metrics())

    assert made is None
    assert not (tmp_path / "data" / "admin-key").exists()
    assert await authenticator.caller(f"Convex {KEY}") == SERVICE


async def test_production_believes_no_token_of_development(tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"keys": [public_jwk(rsa_key(), kid="k1")]}))
    token = development.open_issuer(tmp_path / "data").sign("alice", claims={}, expires_s=60)
    authenticator = tokens.for_serve(
        settings(tmp_path, auth_jwks=str(keys), auth_issuers=ISSUER, auth_audience=AUDIENCE), ManualClock(), Metrics()
    )

    assert "issuer is not accepted" in await reason(authenticator, f"Bearer {token}")
    assert (await authenticator.caller(f"Bearer {signed(rsa_key())}")).identity is not None
    assert await authenticator.caller(None) == NOBODY


async def test_an_issuer_of_development_is_signed_for_by_nobody_else(tmp_path: Path) -> None:
    """A key set of the operator may sign under any name, but for the one of `hub dev`."""
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"keys": [public_jwk(ed_key(), kid="dev")]}))
    authenticator, _ = tokens.for_dev(settings(tmp_path, auth_jwks=str(keys)), ManualClock(), Metrics())

    forged = signed(ed_key(), "EdDSA", kid="dev", iss=development.ISSUER, aud=development.AUDIENCE)
    assert "signature does not verify" in await reason(authenticator, f"Bearer {forged}")
    other = signed(ed_key(), "EdDSA", kid="dev", iss="https://anything.example", aud=None)
    assert (await authenticator.caller(f"Bearer {other}")).identity is not None


async def test_without_an_audience_a_token_meant_for_somebody_is_refused(tmp_path: Path) -> None:
    """RFC 7519, 4.1.3: who does not find itself in a token's `aud` must reject it."""
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"keys": [public_jwk(rsa_key())]}))
    authenticator = tokens.for_serve(settings(tmp_path, auth_jwks=str(keys)), ManualClock(), Metrics())

    assert "another audience" in await reason(authenticator, f"Bearer {signed(rsa_key(), aud='other')}")


@pytest.mark.parametrize("content", [None, "", "[]", '{"keys": 1}', '{"keys": ["x"]}'])
def test_a_key_set_file_that_is_none_stops_the_start_with_one_line(tmp_path: Path, content: str | None) -> None:
    keys = tmp_path / "keys.json"
    if content is not None:
        keys.write_text(content)

    with pytest.raises(ConfigError, match=r"HUB_AUTH_JWKS=.*keys\.json: ") as caught:
        tokens.for_serve(settings(tmp_path, auth_jwks=str(keys)), ManualClock(), Metrics())

    assert isinstance(caught.value, HubError)
    assert "\n" not in caught.value.message
