// `node compare-node.mjs <version of convex> <hub> <hub behind a lossy network>`: clients beside each other in Node, see compare.mjs.
//
// Reads `{"id", "key", "value"}` lines: once all clients show the value of that cell, an event says which cells they show differently.
import { createInterface } from "node:readline";

import { WebSocket } from "ws";

import * as ours from "../../clients/js/dist/index.js";
import { beside } from "./compare.mjs";

const [version, direct, lossy, ...cells] = process.argv.slice(2);
const { ConvexClient } = await import(`convex-${version}/browser`);
const emit = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);

// Without compression, a frame can be lost on the way and the next one still be read.
class PlainSocket extends WebSocket {
  constructor(url, protocols) {
    super(url, protocols, { perMessageDeflate: false });
  }
}

const queries = [
  ...cells.map((name) => ({ key: name, path: "cells:get", args: { name } })),
  { key: "everything", path: "cells:list", args: {} },
];
const onProblem = (text) => emit({ event: "problem", text });
for (const level of ["log", "info", "warn", "error"]) console[level] = () => {};
const clients = beside({ ConvexClient, ours, webSocket: PlainSocket, direct, lossy, queries, onProblem });

emit({ event: "started" });
for await (const line of createInterface({ input: process.stdin })) {
  const { id, key, value } = JSON.parse(line);
  void clients.differences(key, value).then((differences) => emit({ event: "done", id, differences, counts: clients.counts }));
}
process.exit(0);
