"""The short page at `/` of `hub serve`: that a hub runs here, and how to call it.

It needs nothing from anywhere else: no script, no style sheet, no font. What functions there are is an application's own business,
so it names none; the page of `hub dev` does (`hub.server.development_page`).
"""

from __future__ import annotations

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


def route() -> Route:
    async def page(request: Request) -> Response:
        address = escape(f"{request.url.scheme}://{request.url.netloc}")
        return HTMLResponse(_PAGE.substitute(version=escape(VERSION), address=address), headers=_HEADERS)

    return Route("/", page, methods=["GET"])
