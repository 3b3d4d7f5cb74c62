"""The page of `hub dev`: its files, what it asks about the application, and the tokens it signs in with.

The files are the build of `clients/js/web`. They load nothing from anywhere else, and the policy that is sent with them sees to
it. Invariant: tokens are given out only where callers without one are trusted anyway, on loopback: there `OriginGuard` lets no page
of another machine near, and a token is less than what it already may.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.staticfiles import StaticFiles

from hub.config import Settings
from hub.errors import BadRequest, HubError
from hub.server.answers import Refusal, answered, refusal, refused
from hub.server.bodies import read_object
from hub.server.development import DevIssuer

WEB: Final = Path(__file__).parent.parent / "web"
TOKEN_LIFETIME_S: Final = 3600.0
SUBJECT_MAX_CHARS: Final = 200

_HEADERS: Final = {
    "Content-Security-Policy": "; ".join(
        [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "font-src 'self'",
            "img-src 'self' data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        ]
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # asked for again each time, and answered with 304: a new build is seen at once
}


def routes(settings: Settings, describe: Callable[[], str], issuer: DevIssuer, extras: frozenset[str]) -> list[BaseRoute]:
    """`describe` gives the application as JSON; `extras` names what else this hub has for its page (`assistant`)."""
    files = StaticFiles(directory=WEB)

    async def file(request: Request) -> Response:
        name = request.path_params.get("name")
        response = await files.get_response(f"page/{name}" if name else "index.html", request.scope)
        response.headers.update(_HEADERS)
        return response

    async def application(request: Request) -> Response:
        has = sorted(extras | ({"tokens"} if settings.listens_on_loopback else frozenset()))
        return answered(f'{{"has":{json.dumps(has)},"application":{describe()}}}')

    async def token(request: Request) -> Response:
        try:
            return answered(json.dumps({"token": await _token(request, settings, issuer)}))
        except Refusal as reason:
            return refused(reason)
        except HubError as error:
            return refused(refusal(error))

    own = [Route("/", file, methods=["GET"]), Route("/page/{name}", file, methods=["GET"])]
    own.append(Route("/dev/application", application, methods=["GET"]))
    if settings.listens_on_loopback:
        own.append(Route("/dev/token", token, methods=["POST"]))
    return list[BaseRoute](own)


async def _token(request: Request, settings: Settings, issuer: DevIssuer) -> str:
    """For the `subject` in the body, as `hub token` prints it. Raises Refusal, BadRequest."""
    subject = (await read_object(request, settings)).get("subject")
    if not isinstance(subject, str) or len(subject) > SUBJECT_MAX_CHARS:
        raise BadRequest(f"`subject` must be a text of up to {SUBJECT_MAX_CHARS} characters")
    return issuer.sign(subject, claims={}, expires_s=TOKEN_LIFETIME_S)
