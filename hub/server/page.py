"""The short page at `/`: what runs here, and how to call it.

It needs nothing from anywhere else: no script, no style sheet, no font. Names of functions are an application's own business,
so they are shown only where `functions` is given (`hub dev`).
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from string import Template
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from hub.server.probes import VERSION

_PAGE: Final = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>hub</title>
<style>
:root { color-scheme: light dark; font: 16px/1.55 system-ui, sans-serif }
body { max-width: 46rem; margin: 0 auto; padding: 2.5rem 1rem }
h1 { margin: 0; font-size: 1.6rem }
h2 { margin: 2rem 0 .5rem; font-size: 1.05rem }
p { margin: .5rem 0 }
pre, code { font: .85rem/1.6 ui-monospace, monospace }
pre { margin: 0; padding: .75rem 1rem; overflow-x: auto; background: #8881; border-radius: .4rem }
table { width: 100%; border-collapse: collapse }
td { padding: .25rem 0; border-bottom: 1px solid #8883 }
td + td { width: 5rem; opacity: .7; font-size: .9rem }
footer { margin-top: 2rem; font-size: .9rem }
</style>
</head>
<body>
<h1>A hub runs here</h1>
<p>Version $version. It keeps the screens of its subscribers equal to what their queries return now.</p>
<h2>Subscribe</h2>
<pre>import { ConvexClient } from "convex/browser";
import { anyApi } from "convex/server";

const client = new ConvexClient("$address");
client.onUpdate(anyApi.module.query, {}, (result) =&gt; console.log(result));</pre>
<h2>Call</h2>
<pre>curl $address/api/query \\
  -H "Content-Type: application/json" \\
  -d '{"path": "module:query", "args": {}}'</pre>
$functions
<footer><a href="/ready">/ready</a> &middot; <a href="/health">/health</a> &middot; <a href="/version">/version</a>
&middot; <a href="/metrics">/metrics</a></footer>
</body>
</html>
""")

_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

Listing = Callable[[], list[tuple[str, str]]]


def route(functions: Listing | None) -> Route:
    """`functions` gives (name, kind) of what may be shown to whoever looks; None shows nothing."""

    async def page(request: Request) -> Response:
        address = escape(f"{request.url.scheme}://{request.url.netloc}")
        shown = "" if functions is None else _table(functions())
        return HTMLResponse(_PAGE.substitute(version=escape(VERSION), address=address, functions=shown), headers=_HEADERS)

    return Route("/", page, methods=["GET"])


def _table(functions: list[tuple[str, str]]) -> str:
    if not functions:
        return "<h2>Functions</h2>\n<p>None yet: <code>hub init</code> writes a small application to start from.</p>"
    rows = "\n".join(f"<tr><td><code>{escape(name)}</code></td><td>{escape(kind)}</td></tr>" for name, kind in functions)
    return f"<h2>Functions</h2>\n<table>\n{rows}\n</table>"
