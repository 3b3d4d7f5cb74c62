"""Settings: from the environment, within bounds, and mistakes told in one line each."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hub import config
from hub.errors import ConfigError


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("HUB_"):
            monkeypatch.delenv(name)


def test_a_setting_comes_from_its_variable_and_an_option_wins_over_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_PORT", "9000")
    monkeypatch.setenv("HUB_HOST", "0.0.0.0")

    settings = config.load(port=9001, host=None)

    assert (settings.host, settings.port) == ("0.0.0.0", 9001)


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_PORT", "")
    monkeypatch.setenv("HUB_ADMIN_KEY", "")

    settings = config.load()

    assert settings.port == 8000
    assert settings.admin_key is None


def test_lists_are_separated_by_commas_and_origins_take_the_form_that_browsers_send(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_ALLOWED_ORIGINS", "https://App.example.com:443, http://localhost:3000/ ,")
    monkeypatch.setenv("HUB_AUTH_ALGORITHMS", "ES256,EdDSA")

    settings = config.load()

    assert settings.allowed_origins == ("https://app.example.com", "http://localhost:3000")
    assert settings.auth_algorithms == ("ES256", "EdDSA")


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        pytest.param("HUB_PORT", "70000", "HUB_PORT=70000: input should be less than or equal to 65535", id="above its bound"),
        pytest.param("HUB_PORT", "http", "HUB_PORT=http: input should be a valid integer", id="no number"),
        pytest.param("HUB_READY_MAX_LAG_S", "nan", "HUB_READY_MAX_LAG_S=nan: input should be a finite number", id="NaN"),
        pytest.param("HUB_MONGO_DRIVER", "asyncpg", "HUB_MONGO_DRIVER=asyncpg: input should be 'pymongo' or 'motor'", id="choice"),
        pytest.param("HUB_AUTH_ALGORITHMS", "none", "HUB_AUTH_ALGORITHMS=none: input should be 'RS256'", id="alg none"),
        pytest.param("HUB_ALLOWED_ORIGINS", "example.com", "'example.com' is not an origin", id="origin without scheme"),
        pytest.param("HUB_ALLOWED_ORIGINS", "https://a.b/c", "has more than scheme, host and port", id="origin with path"),
        pytest.param("HUB_AUTH_ISSUERS", "accounts", "'accounts' is not an http(s) URL", id="issuer"),
        pytest.param("HUB_PING_INTERVAL_S", "60", "HUB_PING_INTERVAL_S=60", id="slower than old clients wait"),
    ],
)
def test_a_bad_value_is_one_line_that_names_variable_and_value(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, expected: str
) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(ConfigError) as caught:
        config.load()

    assert expected in caught.value.message
    assert "\n" not in caught.value.message


def test_every_bad_value_has_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_PORT", "x")
    monkeypatch.setenv("HUB_MONGO_DB", "a/b")

    with pytest.raises(ConfigError) as caught:
        config.load()

    assert [line.split("=")[0] for line in caught.value.message.splitlines()] == ["HUB_PORT", "HUB_MONGO_DB"]


def test_no_secret_is_in_an_error_or_in_the_settings_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_ADMIN_KEY", "hunter2-admin")
    monkeypatch.setenv("HUB_MONGO_URL", "mongodb://hub:hunter2@db/")
    assert "hunter2" not in repr(config.load())

    monkeypatch.setenv("HUB_MONGO_URL", "postgres://hub:hunter2@db/")
    with pytest.raises(ConfigError, match="HUB_MONGO_URL: must start with mongodb://") as caught:
        config.load()
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({"auth_issuers": "https://a.example"}, "HUB_AUTH_AUDIENCE", id="an issuer serves many audiences"),
        pytest.param(
            {"auth_jwks": "https://a.example/keys", "auth_audience": "chat"}, "HUB_AUTH_ISSUERS", id="keys at a URL sign for many"
        ),
        pytest.param(
            {"auth_issuers": "https://a.example", "auth_audience": "chat", "auth_algorithms": "HS256"},
            "HUB_AUTH_JWKS to be a file",
            id="shared secrets do not come from discovery",
        ),
    ],
)
def test_identity_settings_that_would_trust_too_much_are_refused(given: dict[str, str], expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        config.load(**given)


def test_production_needs_a_database_and_somebody_to_trust_or_the_word_that_nobody_is() -> None:
    with pytest.raises(ConfigError) as caught:
        config.check_serve(config.load(admin_key="a-service-key-alone-names-no-user"))
    assert [line.split(" ")[0] for line in caught.value.message.splitlines()] == ["HUB_MONGO_URL", "no"]

    config.check_serve(config.load(mongo_url="mongodb://db/?replicaSet=rs", auth_optional=True))
    config.check_serve(config.load(mongo_url="mongodb://db/?replicaSet=rs", auth_jwks="/keys.json"))


def test_an_unknown_variable_is_told_with_the_nearest_name() -> None:
    warnings = config.unknown_variables({"HUB_MONGO_URI": "x", "HUB_PORT": "1", "HUBRIS": "1", "HUB_QZXW": "1"})

    assert warnings == [
        "HUB_MONGO_URI is not a setting of the hub; did you mean HUB_MONGO_URL?",
        "HUB_QZXW is not a setting of the hub",
    ]


def test_paths_do_not_depend_on_where_the_process_goes_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert config.load(data_dir="data").data_dir == tmp_path / "data"


def test_every_setting_is_documented_and_its_default_is_within_its_bounds() -> None:
    described = config.describe()

    assert all(setting.description.endswith(".") for setting in described)
    assert {"HUB_PORT", "HUB_MONGO_URL", "HUB_AUTH_LEEWAY_S", "HUB_READY_MAX_LAG_S"} <= {setting.variable for setting in described}
    lag = next(setting for setting in described if setting.variable == "HUB_READY_MAX_LAG_S")
    assert (lag.default, lag.bounds) == ("10", "> 0, <= 3,600")
    config.load(**{name: field.default for name, field in config.Settings.model_fields.items()})


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [
        ("localhost", True),
        ("LOCALHOST.", True),
        ("app.localhost", True),
        ("127.9.9.9", True),
        ("[::1]", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("localhost.example.com", False),
        ("127.0.0.1.example.com", False),
        ("192.168.1.5", False),
        ("", False),
    ],
)
def test_loopback_is_a_name_or_address_that_can_only_mean_this_machine(host: str, is_loopback: bool) -> None:
    assert config.is_loopback_host(host) is is_loopback
