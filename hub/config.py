"""Settings: every knob of the hub with its unit, default and bounds; read once at the start and passed down.

A setting is the environment variable `HUB_<NAME>`; a command line option wins over it. No other module reads the environment,
and no default hides in a call. A bad value is a ConfigError of one line that names the variable and never shows a secret.
"""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias
from urllib.parse import urlsplit

from annotated_types import BaseMetadata, Ge, Gt, Le, Lt
from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from hub.errors import ConfigError

PREFIX = "HUB_"
MOUNTED_PREFIX = "HUB_CHAT_"
"""Of the assistant in `clients/assistant`, which may run in the same process."""
KIB, MIB = 1024, 1024 * 1024
DAY_S = 24 * 60 * 60.0

Algorithm: TypeAlias = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "HS256", "HS384", "HS512"
]
SYMMETRIC: frozenset[Algorithm] = frozenset({"HS256", "HS384", "HS512"})


def _split(value: object) -> object:
    """A comma-separated list, as environment variables carry it."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


Listed: TypeAlias = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
ListedAlgorithms: TypeAlias = Annotated[tuple[Algorithm, ...], NoDecode, BeforeValidator(_split)]
Seconds: TypeAlias = Annotated[float, Field(allow_inf_nan=False)]


class Settings(BaseSettings):
    """The effective settings of one hub process. Built by `load`; frozen."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True, case_sensitive=False, hide_input_in_errors=True
    )

    # --- where it runs ---------------------------------------------------------------------------------------------
    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on. Beyond loopback `hub dev` trusts nobody.")
    port: int = Field(8000, ge=0, le=65_535, description="TCP port to listen on; 0 takes a free one.")
    data_dir: Path = Field(Path(".hub"), description="Directory of everything the hub keeps: embedded database, keys.")
    app_dir: Path = Field(Path("."), description="Directory of the application: schema/, queries/, mutations/.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least severity that is logged.")
    allowed_origins: Listed = Field(
        (),
        description="Web origins (scheme://host[:port], comma-separated, or *) whose pages may connect. "
        "`hub dev` on loopback takes loopback origins and no others.",
    )
    ready_max_lag_s: Seconds = Field(10.0, gt=0, le=3600, description="Seconds behind the database at which /ready says no.")

    # --- database --------------------------------------------------------------------------------------------------
    mongo_url: SecretStr | None = Field(
        None, description="mongodb:// or mongodb+srv:// address of a replica set. Without it `hub dev` starts its own."
    )
    mongo_db: str = Field("hub", min_length=1, max_length=63, pattern=r'^[^/\\. "$*<>:|?]+$', description="Database name.")
    mongo_driver: Literal["pymongo", "motor"] = Field("pymongo", description="Driver: PyMongo's own async API, or Motor.")
    mongod: Path | None = Field(None, description="mongod program for `hub dev`; else the one on PATH, else the wheel's.")
    mongo_timeout_s: Seconds = Field(10.0, gt=0, le=300, description="Seconds a database call may take before it fails.")

    # --- identity --------------------------------------------------------------------------------------------------
    admin_key: SecretStr | None = Field(None, description="The service key: full rights. `hub dev` makes one if it is not set.")
    auth_issuers: Listed = Field((), description="Issuers (`iss`, comma-separated URLs) whose tokens are accepted.")
    auth_audience: Listed = Field((), description="Accepted `aud` values, comma-separated: who the tokens must be meant for.")
    auth_jwks: str | None = Field(
        None, min_length=1, description="Key set, a URL or a file, instead of each issuer's discovery document."
    )
    auth_algorithms: ListedAlgorithms = Field(
        ("RS256", "ES256", "EdDSA"),
        min_length=1,
        description="Accepted signature algorithms. HS* needs a HUB_AUTH_JWKS file with `oct` keys.",
    )
    auth_leeway_s: Seconds = Field(5.0, ge=0, le=300, description="Seconds that clocks of issuer and hub may differ.")
    auth_optional: bool = Field(False, description="1 lets `hub serve` start without an issuer: service key and public functions.")
    auth_token_max_bytes: int = Field(16 * KIB, ge=256, le=256 * KIB, description="Longest token looked at.")
    auth_keys_max_age_s: Seconds = Field(600.0, ge=1, le=DAY_S, description="Seconds after which keys are fetched again.")
    auth_keys_stale_s: Seconds = Field(
        DAY_S, ge=0, le=30 * DAY_S, description="Seconds that known keys serve on while their issuer cannot be reached."
    )
    auth_keys_retry_s: Seconds = Field(
        30.0, ge=0.1, le=3600, description="Least seconds between two fetches, after a failure or for an unknown key id."
    )
    auth_keys_timeout_s: Seconds = Field(5.0, gt=0, le=60, description="Seconds a fetch of keys may take.")

    # --- calls -----------------------------------------------------------------------------------------------------
    query_deadline_s: Seconds = Field(10.0, gt=0, le=300, description="Seconds an HTTP query may take, waiting for minTs included.")
    mutation_deadline_s: Seconds = Field(10.0, gt=0, le=300, description="Seconds a mutation may take, with all its retries.")
    mutation_queue_max: int = Field(10_000, ge=1, le=1_000_000, description="Mutations waiting in the hub; beyond: 503, or close.")
    mutation_batch_max: int = Field(64, ge=1, le=1_000, description="Mutations that commit in one transaction, if so many wait.")
    mutation_batch_max_rows: int = Field(
        4_000, ge=1, le=100_000, description="Rows they may write together; the mutation that passes it is the last of its batch."
    )
    mutation_batch_max_bytes: int = Field(
        4 * MIB, ge=KIB, le=64 * MIB, description="Bytes they may read and write together; likewise."
    )
    mutation_batch_run_s: Seconds = Field(
        0.05,
        ge=0,
        le=10,
        description="Seconds one that waits for the database may hold up those before it; a slower one begins the next batch.",
    )
    runs_max: int = Field(32, ge=1, le=1_000, description="Query runs that read the database at the same time; others wait.")
    idempotency_key_max_bytes: int = Field(255, ge=16, le=4 * KIB, description="Longest Idempotency-Key.")
    session_record_keep_s: Seconds = Field(
        14 * DAY_S, ge=60, le=365 * DAY_S, description="Seconds a WebSocket mutation's answer is kept for a repeat."
    )
    http_record_keep_s: Seconds = Field(
        DAY_S, ge=60, le=365 * DAY_S, description="Seconds an answer is kept for its Idempotency-Key."
    )

    # --- HTTP ------------------------------------------------------------------------------------------------------
    http_body_max_bytes: int = Field(17 * MIB, ge=KIB, le=256 * MIB, description="Largest request body; beyond: 413.")
    http_body_timeout_s: Seconds = Field(30.0, gt=0, le=600, description="Seconds in which a request body must arrive; else 408.")
    http_requests_max: int = Field(1_000, ge=1, le=100_000, description="Calls handled at the same time; beyond: 503.")
    http_batch_max: int = Field(100, ge=1, le=10_000, description="Queries in one /api/query_batch.")

    # --- WebSocket sessions ----------------------------------------------------------------------------------------
    sessions_max: int = Field(20_000, ge=1, le=1_000_000, description="Open sockets; beyond: refused with 503.")
    session_queries_max: int = Field(1_000, ge=1, le=100_000, description="Queries one session may subscribe to.")
    session_mutations_max: int = Field(1_000, ge=1, le=100_000, description="Mutations of one session that may wait.")
    frame_max_bytes: int = Field(17 * MIB, ge=KIB, le=256 * MIB, description="Largest frame of a client; beyond: close 1009.")
    outbox_max_bytes: int = Field(32 * MIB, ge=64 * KIB, le=1024 * MIB, description="Bytes that may wait for one client.")
    resume_max_bytes: int = Field(
        16 * MIB, ge=0, le=1024 * MIB, description="Bytes of values kept for clients that left and may come back for what changed."
    )
    ping_interval_s: Seconds = Field(15.0, gt=0, le=25, description="Seconds of silence after which a Ping message is sent.")
    socket_ping_interval_s: Seconds = Field(20.0, gt=0, le=25, description="Seconds between the pings that find dead clients.")
    socket_ping_timeout_s: Seconds = Field(20.0, gt=0, le=600, description="Seconds in which such a ping must be answered.")
    deflate_sockets_max: int = Field(
        200, ge=0, le=100_000, description="Sockets that may compress (permessage-deflate), 0.3 MB each; others are not offered it."
    )
    send_timeout_s: Seconds = Field(20.0, gt=0, le=600, description="Seconds a client may take to read what was sent; then closed.")
    catch_up_deadline_s: Seconds = Field(
        5.0, gt=0, le=60, description="Seconds a reconnected client waits for the hub to pass what it saw; then closed."
    )
    repeat_hold_s: Seconds = Field(
        0.25, ge=0, le=5, description="Seconds a reconnected client's first transition waits for its repeated mutations."
    )
    drain_grace_s: Seconds = Field(8.0, ge=0, le=300, description="Seconds after SIGTERM to finish mutations and close sockets.")

    # --- live queries ----------------------------------------------------------------------------------------------
    live_queries_max: int = Field(100_000, ge=1, le=10_000_000, description="Distinct live queries in this process.")
    cache_max_bytes: int = Field(
        256 * MIB,
        ge=0,
        le=256 * 1024 * MIB,
        description="Estimated bytes of rows kept in memory for live queries, the longest unused given up first; "
        "0: each run reads the database.",
    )
    cache_grace_s: Seconds = Field(
        60.0, ge=0, le=86_400, description="Seconds they are kept after the last live query that shows them has gone."
    )
    commit_log_max_commits: int = Field(10_000, ge=100, le=10_000_000, description="Latest commits kept to replay over a read.")
    commit_log_max_changes: int = Field(100_000, ge=1_000, le=100_000_000, description="Row changes in that log.")
    feed_backlog_max_commits: int = Field(
        50_000, ge=100, le=10_000_000, description="Commits received and not yet shown; beyond: every live query runs again."
    )

    # --- one run of a function -------------------------------------------------------------------------------------
    stall_exit_s: Seconds = Field(
        15.0, ge=5, le=3600, description="Seconds of standstill (a function in one endless call) after which the hub ends itself."
    )
    function_run_s: Seconds = Field(10.0, gt=0, le=300, description="Seconds one run may take with all its waiting for rows.")
    function_cpu_s: Seconds = Field(2.0, gt=0, le=60, description="Seconds of CPU one run may use.")
    function_rows_read_max: int = Field(32_000, ge=1, le=1_000_000, description="Rows one run may read.")
    function_bytes_read_max: int = Field(16 * MIB, ge=KIB, le=256 * MIB, description="Bytes of rows one run may read.")
    function_rows_written_max: int = Field(16_000, ge=1, le=100_000, description="Rows one mutation may write.")
    function_bytes_written_max: int = Field(16 * MIB, ge=KIB, le=256 * MIB, description="Bytes of rows one mutation may write.")
    function_args_max_bytes: int = Field(16 * MIB, ge=KIB, le=256 * MIB, description="Size of a call's arguments.")
    function_result_max_bytes: int = Field(16 * MIB, ge=KIB, le=256 * MIB, description="Size of a result.")
    function_nesting_max: int = Field(64, ge=4, le=200, description="Depth of nested lists and objects in a value.")
    function_log_lines_max: int = Field(256, ge=0, le=10_000, description="Log lines kept of one run.")

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.strip().upper() if isinstance(value, str) else value

    @field_validator("data_dir", "app_dir", "mongod")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return value if value is None else value.expanduser().absolute()

    @field_validator("mongo_url")
    @classmethod
    def _mongo_scheme(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(("mongodb://", "mongodb+srv://")):
            raise ValueError("must start with mongodb:// or mongodb+srv://")
        return value

    @field_validator("allowed_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(origin if origin == "*" else _origin(origin) for origin in value)

    @field_validator("auth_issuers")
    @classmethod
    def _issuers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for issuer in value:
            if not is_http_url(issuer):
                raise ValueError(f"{issuer!r} is not an http(s) URL")
        return value

    @model_validator(mode="after")
    def _identity_is_whole(self) -> Self:
        """Somebody else's keys sign for many: such tokens are accepted only with issuer and audience pinned."""
        foreign_keys = bool(self.auth_issuers) or is_http_url(self.auth_jwks or "")
        if is_http_url(self.auth_jwks or "") and not self.auth_issuers:
            raise ValueError("HUB_AUTH_JWKS is a URL, so HUB_AUTH_ISSUERS must say whose tokens its keys sign")
        if foreign_keys and not self.auth_audience:
            raise ValueError("HUB_AUTH_AUDIENCE must say which `aud` the issuers' tokens carry when they are meant for this hub")
        if SYMMETRIC.intersection(self.auth_algorithms) and (not self.auth_jwks or is_http_url(self.auth_jwks)):
            raise ValueError("HUB_AUTH_ALGORITHMS has HS*, which needs HUB_AUTH_JWKS to be a file with `oct` keys")
        return self

    @property
    def listens_on_loopback(self) -> bool:
        return is_loopback_host(self.host)

    @property
    def has_issuer(self) -> bool:
        """Whether any end user's token could verify (`hub dev` adds an issuer of its own)."""
        return bool(self.auth_issuers or self.auth_jwks)


def load(**overrides: Any) -> Settings:
    """Settings from the environment; `overrides` (command line options) win, those that are None are left out.

    Raises ConfigError, with one line for each bad value.
    """
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as exc:
        first_of_each = {error["loc"][:1]: error for error in reversed(exc.errors(include_url=False))}
        raise ConfigError("\n".join(_line(error) for error in reversed(first_of_each.values()))) from None


def check_serve(settings: Settings) -> None:
    """What production needs on top. Raises ConfigError, with one line for each thing that is missing."""
    problems = []
    if settings.mongo_url is None:
        problems.append(
            "HUB_MONGO_URL is not set: `hub serve` needs a MongoDB replica set (`hub dev` starts one of its own for development)"
        )
    if not settings.has_issuer and not settings.auth_optional:
        problems.append(
            "no identity is configured: set HUB_AUTH_ISSUERS and HUB_AUTH_AUDIENCE (or HUB_AUTH_JWKS), "
            "or HUB_AUTH_OPTIONAL=1 to serve only the service key and functions with public=True"
        )
    if problems:
        raise ConfigError("\n".join(problems))


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """A warning for each `HUB_*` variable that no setting has, with the nearest name there is. Those of programs that `hub dev`
    mounts are not the hub's to judge."""
    known = {variable(name) for name in Settings.model_fields}
    warnings = []
    for name in sorted(environ):
        is_ours = name.upper().startswith(PREFIX) and not name.upper().startswith(MOUNTED_PREFIX)
        if is_ours and name.upper() not in known:
            near = difflib.get_close_matches(name.upper(), known, n=1)
            warnings.append(f"{name} is not a setting of the hub" + (f"; did you mean {near[0]}?" if near else ""))
    return warnings


@dataclass(frozen=True, slots=True)
class Described:
    """One setting, as documentation and `hub doctor` show it."""

    variable: str
    default: str
    bounds: str
    description: str


def describe() -> list[Described]:
    """Every setting, in the order of this file."""
    return [
        Described(variable(name), _shown(field.default), _bounds(field.metadata), field.description or "")
        for name, field in Settings.model_fields.items()
    ]


def variable(field: str) -> str:
    return PREFIX + field.upper()


def is_http_url(text: str) -> bool:
    parts = urlsplit(text)
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def is_loopback_host(host: str) -> bool:
    """Whether the name or address can only mean this machine. `*.localhost` is reserved for that (RFC 6761, 6.3)."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _origin(text: str) -> str:
    """The form in which a browser sends it: lower case, no default port, no path (RFC 6454, 6.2)."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise ValueError(f"{text!r} is not an origin like https://app.example.com")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(f"{text!r} has more than scheme, host and port")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    is_default = parts.port is None or (parts.scheme, parts.port) in (("http", 80), ("https", 443))
    return f"{parts.scheme}://{host}" if is_default else f"{parts.scheme}://{host}:{parts.port}"


def _line(error: ErrorDetails) -> str:
    """One line for one mistake. The value is shown unless it may be a secret, or the line is about several settings."""
    message = error["msg"].removeprefix("Value error, ")
    if not error["loc"]:
        return message
    name = str(error["loc"][0])
    field = Settings.model_fields.get(name)
    if field is None:
        return f"{variable(name)} is not a setting of the hub"
    is_secret = "SecretStr" in str(field.annotation)
    given = "" if is_secret else f"={error['input']}"
    return f"{variable(name)}{given}: {message[:1].lower()}{message[1:]}. {field.description}".replace("\n", " ")


def _shown(default: object) -> str:
    if isinstance(default, tuple):
        return ",".join(default)
    if isinstance(default, float):
        return f"{default:.12g}"
    return "" if default is None else str(int(default) if isinstance(default, bool) else default)


def _bounds(metadata: list[Any]) -> str:
    signs: dict[type[BaseMetadata], tuple[str, str]] = {Ge: (">=", "ge"), Gt: (">", "gt"), Le: ("<=", "le"), Lt: ("<", "lt")}
    found = [(signs[type(item)], item) for item in metadata if type(item) in signs]
    return ", ".join(f"{sign} {getattr(item, attribute):,.12g}" for (sign, attribute), item in found)
