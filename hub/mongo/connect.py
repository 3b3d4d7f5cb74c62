"""Connect: is this a database the hub can work with? One clear line if not. Called once, by `hub.mongo.store`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote, urlsplit

from pymongo.errors import ConfigurationError, ConnectionFailure, InvalidURI, OperationFailure, PyMongoError

from hub.errors import ConfigError
from hub.mongo import faults
from hub.mongo.driver import Document, Link, time_limit

OLDEST = (6, 0)
_WRONG_PASSWORD = {18, 8000, 10057}  # AuthenticationFailed, Atlas's own
_NOT_ALLOWED = 13


async def check_server(link: Link, url: str, timeout_s: float) -> None:
    """Raises ConfigError: unreachable, wrong password, standalone, sharded, too old, no primary."""
    with clear_errors(url), time_limit(timeout_s):
        hello = await link.command({"hello": 1}, admin=True)
        check_topology(hello, url)
        build = await link.command({"buildInfo": 1}, admin=True)
        version = tuple(build["versionArray"][:2])
        if version < OLDEST:
            raise ConfigError(f"MongoDB {build['version']} at {address(url)} is too old: the hub needs 6.0 or newer")
        # `hello` and `buildInfo` need no login; this does.
        await link.command({"listCollections": 1, "nameOnly": True, "authorizedCollections": True})


def check_topology(hello: Document, url: str) -> None:
    """`hello` is the server's own description of itself."""
    where = address(url)
    if hello.get("msg") == "isdbgrid":
        raise ConfigError(f"MongoDB at {where} is a sharded cluster (mongos), which the hub does not support; use a replica set")
    if "setName" not in hello:
        how = "call rs.initiate() on it" if hello.get("isreplicaset") else "start mongod with --replSet and call rs.initiate()"
        raise ConfigError(f"MongoDB at {where} is a standalone server; change streams and transactions need a replica set: {how}")
    if not hello.get("isWritablePrimary"):
        raise ConfigError(f"MongoDB at {where} is not the primary; leave directConnection out of the URL and name the replica set")


@contextmanager
def clear_errors(url: str) -> Iterator[None]:
    """Turns the driver's exceptions into one line that says what to do, without the password."""
    try:
        yield
    except (InvalidURI, ConfigurationError, ValueError) as exc:
        raise ConfigError(f"the MongoDB URL cannot be used: {_without_secrets(faults.brief(exc), url)}") from None
    except OperationFailure as exc:
        if exc.code in _WRONG_PASSWORD:
            raise ConfigError(f"MongoDB at {address(url)} refused the login: wrong user name or password") from None
        if exc.code == _NOT_ALLOWED:
            raise ConfigError(
                f"MongoDB at {address(url)} does not allow this user what the hub needs: {faults.brief(exc)}"
            ) from None
        raise ConfigError(f"MongoDB at {address(url)} refused: {_without_secrets(faults.brief(exc), url)}") from None
    except ConnectionFailure as exc:
        if "auth" in str(exc).lower():
            raise ConfigError(f"MongoDB at {address(url)} refused the login: {_without_secrets(faults.brief(exc), url)}") from None
        raise ConfigError(f"MongoDB at {address(url)} cannot be reached: {_without_secrets(faults.brief(exc), url)}") from None
    except PyMongoError as exc:
        raise ConfigError(f"MongoDB at {address(url)}: {_without_secrets(faults.brief(exc), url)}") from None


def address(url: str) -> str:
    """The hosts of a URL, for people: no user, password or options."""
    return unquote(url.partition("://")[2].rpartition("@")[2].partition("/")[0].partition("?")[0]) or "(no host)"


def _without_secrets(text: str, url: str) -> str:
    try:
        password = urlsplit(url).password
    except ValueError:
        password = url.partition("://")[2].partition("@")[0].partition(":")[2]
    for secret in {password, unquote(password or "")} - {None, ""}:
        text = text.replace(str(secret), "***")
    return text
