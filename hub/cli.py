"""The `hub` command: dev, serve, check, codegen, init, token, health.

It turns options into Settings and calls what does the work. Mistakes of the person at the keyboard are plain lines on stderr and
exit status 2; stdout has only what a command was asked for.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import sys
from collections.abc import Coroutine, Sized
from pathlib import Path
from typing import Annotated, Any, Final

import httpx
import typer

from hub import config, logs, starter
from hub.config import Settings
from hub.errors import BadRequest, ConfigError, HubError, LoadError

log = logging.getLogger(__name__)

EXIT_FAILED: Final = 1
EXIT_MISTAKE: Final = 2
EXIT_INTERRUPTED: Final = 130

_LIFETIME: Final = re.compile(r"(\d{1,9})(s|m|h|d|)")
_UNIT_S: Final = {"s": 1, "": 1, "m": 60, "h": 3600, "d": 86_400}
_LIFETIME_MAX_S: Final = 366 * 86_400
_CLAIM: Final = re.compile(r"([^=]+?)(:?=)(.*)", re.DOTALL)

app = typer.Typer(
    name="hub",
    help="A realtime backend over MongoDB: live queries and exactly-once mutations, written in plain Python.\n\n"
    "Start with `hub init my-app`, then `hub dev --app my-app`. "
    "Every option is also an environment variable (HUB_PORT for --port); options win.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Host = Annotated[str | None, typer.Option("--host", help="Address to listen on. [default: 127.0.0.1]")]
Port = Annotated[int | None, typer.Option("--port", help="TCP port; 0 takes a free one. [default: 8000]")]
Data = Annotated[Path | None, typer.Option("--data", help="Where the hub keeps what is its own. [default: .hub]")]
App = Annotated[Path | None, typer.Option("--app", help="Folder with schema/, queries/ and mutations/. [default: .]")]


def main() -> None:
    """The entry point: says what was wrong in plain lines."""
    try:
        app()
    except HubError as error:
        _fail(error)
    except BaseExceptionGroup as group:  # from a task group in which one part could not start
        mistakes, others = group.split((ConfigError, LoadError))
        if others is not None or mistakes is None:
            raise
        _fail(_first(mistakes))
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


# --- running -------------------------------------------------------------------------------------------------------


@app.command()
def dev(
    host: Host = None,
    port: Port = None,
    data: Data = None,
    app_dir: App = None,
    reload: Annotated[bool, typer.Option("--reload/--no-reload", help="Serve new code when a file changes.")] = True,
    codegen_dir: Annotated[
        Path | None,
        typer.Option("--codegen", metavar="DIR", help="Keep TypeScript declarations of the application in this folder."),
    ] = None,
    mount: Annotated[
        bool, typer.Option("--mount/--no-mount", help="Serve the programs that pyproject.toml wants beside the hub.")
    ] = True,
) -> None:
    """Run the application in this folder for development.

    Starts a MongoDB of its own under --data unless HUB_MONGO_URL is set, prints the address, and serves new code as soon as a
    file changes. On loopback it trusts whoever comes without a token; `hub token` signs tokens to try out identities.
    Ctrl-C stops everything; the data stays.
    """
    settings = _settings(host=host, port=port, data_dir=data, app_dir=app_dir)
    from hub import wiring  # here, as it imports every part: `hub token` and `hub health` start without it

    _run(wiring.run_dev(settings, reload=reload, codegen=codegen_dir, mount=mount))


@app.command()
def serve(host: Host = None, port: Port = None, data: Data = None, app_dir: App = None) -> None:
    """Run the application in production.

    Needs HUB_MONGO_URL (a replica set), and HUB_AUTH_ISSUERS with HUB_AUTH_AUDIENCE to know its users. Web pages may connect
    from HUB_ALLOWED_ORIGINS. SIGTERM finishes what is running and exits.
    """
    settings = _settings(host=host, port=port, data_dir=data, app_dir=app_dir)
    config.check_serve(settings)
    from hub import wiring

    _run(wiring.run_serve(settings))


def _settings(**options: Any) -> Settings:
    settings = config.load(**options)
    logs.configure(settings.log_level)
    for warning in config.unknown_variables(os.environ):
        log.warning(warning)
    return settings


def _run(work: Coroutine[Any, Any, None]) -> None:
    import uvloop

    try:
        uvloop.run(work)
    except asyncio.CancelledError:  # told to stop while it was still starting
        sys.exit(EXIT_INTERRUPTED)


# --- applications --------------------------------------------------------------------------------------------------


@app.command()
def check(app_dir: App = None) -> None:
    """Report every mistake in the application, without starting it.

    Loads schema/, queries/ and mutations/ as `hub dev` would, and names file and line of each mistake. Warns of tables that
    serializable and snapshot mutations both seem to write.
    """
    from hub.functions import hints, loader

    registry = loader.load(config.load(app_dir=app_dir).app_dir)
    for hint in hints.hints(registry):
        print(f"warning: {hint}")
    print(f"{_counted(registry.functions, 'function')}, {_counted(registry.tables, 'table')}: no mistakes found")


def _counted(things: Sized, name: str) -> str:
    return f"{len(things)} {name}" if len(things) == 1 else f"{len(things)} {name}s"


@app.command()
def codegen(
    out: Annotated[
        Path, typer.Option("--out", metavar="PATH", help="Folder of the generated files; with --python also the file itself.")
    ],
    app_dir: App = None,
    for_python: Annotated[bool, typer.Option("--python", help="Write a Python module of typed calls for hub.client.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit with status 1 if a file is not current.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Go on, and write again when the application changes.")] = False,
) -> None:
    """Write the application's functions and tables as TypeScript declarations, or as typed Python.

    The files are those of `npx convex codegen`: api.d.ts, api.js, dataModel.d.ts and server.d.ts, and types.d.ts with the objects
    that functions take and return. With --python it is one module, hub_api.py in the folder unless PATH names a file. Files that
    are current are left as they are; those that are written are printed.
    """
    if check and watch:
        raise BadRequest("--check and --watch: choose one")
    from hub.codegen import commands

    folder = config.load(app_dir=app_dir).app_dir
    target = commands.python_at(out) if for_python else commands.typescript_in(out)
    if watch:
        commands.watch(folder, target, _say, _complain)
    elif check and (stale := commands.stale(folder, target)):
        names = ", ".join(map(str, stale))
        option = "--python " if for_python else ""
        _complain(f"not current: {names}; `hub codegen {option}--out {out}` writes them")
        sys.exit(EXIT_FAILED)
    elif not check:
        commands.write(folder, target, _say)


@app.command()
def init(directory: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that is empty, or not there yet.")]) -> None:
    """Write a small working application to start from.

    One table, one query, one mutation, in a folder of its own; nothing that exists is overwritten.
    """
    for path in starter.write(directory):
        print(path)
    print(f"\nRun it:  hub dev --app {directory}")


# --- identities ----------------------------------------------------------------------------------------------------


@app.command()
def token(
    subject: Annotated[str, typer.Argument(help="Whom the token speaks for: its `sub`.")],
    data: Data = None,
    claim: Annotated[
        list[str] | None, typer.Option("--claim", help="name=value for a text, name:=json for anything else. Can be repeated.")
    ] = None,
    expires: Annotated[str, typer.Option("--expires", help="Lifetime: 90s, 30m, 1h, 7d.")] = "1h",
) -> None:
    """Print a signed token for trying out an identity.

    A `hub dev` with the same --data accepts it: as `Authorization: Bearer <token>`, or in a client's `setAuth`. `hub serve`
    accepts no such token.
    """
    from hub.server import development

    claims, expires_s = dict(_claim(text) for text in claim or []), _lifetime_s(expires)  # before anything is made
    issuer = development.open_issuer(config.load(data_dir=data).data_dir)
    print(issuer.sign(subject, claims=claims, expires_s=expires_s))


def _claim(text: str) -> tuple[str, object]:
    match = _CLAIM.fullmatch(text)
    if match is None:
        raise BadRequest(f"--claim {text!r}: must be name=value")
    name, sign, value = match.groups()
    if sign == "=":
        return name, value
    try:
        return name, json.loads(value)
    except ValueError:
        raise BadRequest(f"--claim {text!r}: what follows := must be JSON") from None


def _lifetime_s(text: str) -> int:
    match = _LIFETIME.fullmatch(text.strip())
    seconds = int(match[1]) * _UNIT_S[match[2]] if match else 0
    if not 0 < seconds <= _LIFETIME_MAX_S:
        raise BadRequest(f"--expires {text!r}: must be a time like 90s, 30m, 1h or 7d, up to 366d")
    return seconds


# --- operators -----------------------------------------------------------------------------------------------------


@app.command()
def health(
    url: Annotated[str | None, typer.Option("--url", help="The hub's address. [default: from HUB_HOST and HUB_PORT]")] = None,
    ready: Annotated[bool, typer.Option("--ready", help="Ask whether it may take traffic now, not only whether it lives.")] = False,
    timeout_s: Annotated[float, typer.Option("--timeout", min=0.1, max=60.0, help="Seconds to wait.")] = 3.0,
) -> None:
    """Ask a running hub how it is.

    Exit status 0 means well, 1 not: for containers and scripts. The hub's own answer is printed.
    """
    address = (url or _own_address(config.load())) + ("/ready" if ready else "/health")
    try:
        # trust_env: a proxy that is configured for the outside must not be asked about a neighbour
        answer = httpx.get(address, timeout=timeout_s, trust_env=False)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        print(f"{address}: {str(error) or type(error).__name__}", file=sys.stderr)
        sys.exit(EXIT_FAILED)
    print(answer.text)
    sys.exit(0 if answer.status_code == httpx.codes.OK else EXIT_FAILED)


def _own_address(settings: Settings) -> str:
    """Where this machine reaches a hub that listens as configured: an address for all interfaces is none to call."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104  # compared, not bound
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


def _say(line: str) -> None:
    print(line, flush=True)  # somebody may be waiting for it at the other end of a pipe


def _complain(line: str) -> None:
    print(f"hub: {line}", file=sys.stderr, flush=True)


# --- mistakes ------------------------------------------------------------------------------------------------------


def _fail(error: HubError) -> None:
    for line in error.message.splitlines():
        _complain(line)
    sys.exit(EXIT_MISTAKE)


def _first(group: BaseExceptionGroup[HubError]) -> HubError:
    found = group.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found
