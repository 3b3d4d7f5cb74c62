"""What `hub dev` makes for itself: private, once, the same for everybody who opens the directory."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jwt
import pytest

from hub.errors import BadRequest, ConfigError
from hub.server import development


def test_keys_are_made_once_and_are_their_owners_alone(tmp_path: Path) -> None:
    data = tmp_path / "data"

    first, again = development.open_admin_key(data), development.open_admin_key(data)
    development.open_issuer(data)

    assert first == again
    assert len(first.value) >= 32
    assert data.stat().st_mode & 0o777 == 0o700
    assert sorted((file.name, file.stat().st_mode & 0o777) for file in data.iterdir()) == [
        ("admin-key", 0o600),
        ("dev-issuer.pem", 0o600),
    ]


def test_processes_that_start_together_end_up_with_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        keys = list(pool.map(lambda _: development.open_admin_key(tmp_path / "data").value, range(64)))

    assert len(set(keys)) == 1
    assert [file.name for file in (tmp_path / "data").iterdir()] == ["admin-key"]


def test_a_token_lives_as_long_as_was_asked(tmp_path: Path) -> None:
    token = development.open_issuer(tmp_path).sign("alice", claims={"email": "a@b"}, expires_s=90)

    claims = jwt.decode(token, options={"verify_signature": False})

    assert claims["exp"] - claims["iat"] == 90
    assert (claims["sub"], claims["email"]) == ("alice", "a@b")


@pytest.mark.parametrize("claim", ["iss", "sub", "aud", "exp", "iat"])
def test_the_issuers_own_claims_are_not_free_to_choose(tmp_path: Path, claim: str) -> None:
    with pytest.raises(BadRequest, match=claim):
        development.open_issuer(tmp_path).sign("alice", claims={claim: "x"}, expires_s=90)


def test_a_token_needs_a_subject(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="subject"):
        development.open_issuer(tmp_path).sign("", claims={}, expires_s=90)


@pytest.mark.parametrize("content", ["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_damaged_key_is_told_with_its_file(tmp_path: Path, content: str) -> None:
    (tmp_path / "dev-issuer.pem").write_text(content)

    with pytest.raises(ConfigError, match=r"dev-issuer\.pem is not an Ed25519 key"):
        development.open_issuer(tmp_path)


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigError, match="file"):
        development.open_admin_key(tmp_path / "file" / "data")
