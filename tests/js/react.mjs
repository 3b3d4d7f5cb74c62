// Renders `usePaginatedQuery` of the published React client: `node react.mjs <version> <address> <path> <args> <items>`.
//
// Writes what each render shows, one JSON line for each change; a number on stdin loads that many more rows.
import { createInterface } from "node:readline";
import { createElement } from "react";
import TestRenderer from "react-test-renderer";
import WebSocket from "ws";

const [version, address, path, args, items] = process.argv.slice(2);
for (const level of ["log", "info", "warn", "error", "debug"]) {
  console[level] = (...words) => process.stderr.write(`${level}: ${words.map(String).join(" ")}\n`);
}
globalThis.IS_REACT_ACT_ENVIRONMENT = false;

const { ConvexProvider, ConvexReactClient, usePaginatedQuery } = await import(`convex-${version}/react`);
const { makeFunctionReference } = await import(`convex-${version}/server`);
const { convexToJson } = await import(`convex-${version}/values`);

const client = new ConvexReactClient(address, {
  webSocketConstructor: WebSocket,
  unsavedChangesWarning: false,
});
const reference = makeFunctionReference(path);
let shown = "";
let loadMore = () => {};

function Pages() {
  const pages = usePaginatedQuery(reference, JSON.parse(args), { initialNumItems: Number(items) });
  loadMore = pages.loadMore;
  const line = JSON.stringify({
    event: "page",
    name: "page",
    status: pages.status,
    rows: pages.results.map((row) => convexToJson(row)),
  });
  if (line !== shown) process.stdout.write(`${line}\n`);
  shown = line;
  return null;
}

process.stdout.write(`${JSON.stringify({ event: "started", version })}\n`);
TestRenderer.create(createElement(ConvexProvider, { client }, createElement(Pages)));
for await (const line of createInterface({ input: process.stdin })) loadMore(Number(line));
process.exit(0);
