// Drives pages in Chromium: `node driver.mjs <chromium> <script>`, where <script> is what bundle.mjs made.
//
// Serves the page that runs the script, to any Host, on a port of its own: its origin is not the hub's. Reads one command a line
// on stdin, writes one event a line on stdout, in the order in which they happened. Ends, with the browser, when stdin does.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createInterface } from "node:readline";

import { launch } from "./chromium.mjs";

const [executablePath, script] = process.argv.slice(2);
const emit = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);

const FILES = {
  "/": ["text/html", '<!doctype html><link rel="icon" href="data:,"><div id="root"></div><script type="module" src="/page.js"></script>'],
  "/page.js": ["text/javascript", await readFile(script)],
};
const server = createServer((request, response) => {
  const [type, body] = FILES[new URL(request.url, "http://page").pathname] ?? ["text/plain", "not here"];
  response.writeHead(200, { "Content-Type": `${type}; charset=utf-8` }).end(body);
});
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));

// A name whose owner points it at this machine.
const browser = await launch(executablePath, "--host-resolver-rules=MAP evil.test 127.0.0.1");
const pages = new Map();

function follow(name, page) {
  const tell = (event) => emit({ page: name, ...event });
  page.on("console", (said) => tell({ event: said.type() === "error" ? "complaint" : "said", text: said.text() }));
  page.on("pageerror", (error) => tell({ event: "complaint", text: String(error) }));
  page.on("response", (response) => {
    const method = response.request().method();
    tell({ event: "response", method, url: response.url(), status: response.status() });
  });
  page.on("websocket", (socket) => {
    socket.on("socketerror", (text) => tell({ event: "refusedSocket", url: socket.url(), text }));
  });
  return tell;
}

// In the page: everything that a page may try on a hub without anybody's help, and what came of it.
async function knock({ hub, call }) {
  const post = (options) =>
    fetch(`${hub}/api/mutation`, { method: "POST", body: JSON.stringify(call), ...options }).then(
      (response) => response.status,
      (error) => error.message,
    );
  const headers = { "Content-Type": "application/json" };
  const socket = new WebSocket(`${hub.replace("http", "ws")}/api/1.48.0/sync`);
  const opened = new Promise((resolve) => {
    socket.onopen = () => resolve(true);
    socket.onerror = () => resolve(false);
  });
  const answers = { blind: await post({ mode: "no-cors" }), read: await post({ headers }), opened: await opened };
  socket.close();
  return answers;
}

const commands = {
  // Each page is somebody else: a context shares no cookies and no storage with another.
  async open({ page: name, url }) {
    const context = await browser.newContext({ viewport: { width: 1000, height: 800 } });
    const page = await context.newPage();
    const tell = follow(name, page);
    await page.exposeFunction("tell", tell);
    pages.set(name, page);
    return (await page.goto(url)).status();
  },
  async type({ page, content }) {
    const field = pages.get(page).locator("input[name=content]");
    await field.fill(content);
    await field.press("Enter");
  },
  // In a page that is open already: the same tab goes elsewhere.
  go: async ({ page, url }) => (await pages.get(page).goto(url)).status(),
  // Calls a function that the page has put on its window.
  call: ({ page, name, argument }) => pages.get(page).evaluate(([name, argument]) => window[name](argument), [name, argument]),
  ask: ({ page }) => pages.get(page).evaluate(() => window.ask()),
  knock: ({ page, hub, call }) => pages.get(page).evaluate(knock, { hub, call }),
};

async function run({ id, op, ...rest }) {
  try {
    emit({ event: "done", id, value: (await commands[op](rest)) ?? null });
  } catch (error) {
    emit({ event: "failed", id, message: error.message, isConvexError: false });
  }
}

emit({ event: "started", port: server.address().port });
for await (const line of createInterface({ input: process.stdin })) void run(JSON.parse(line));
await browser.close();
process.exit(0);
