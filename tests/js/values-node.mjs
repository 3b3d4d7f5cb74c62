// `node values-node.mjs <hub>`: values there and back. Reads a value in convex's JSON encoding a line, and writes what became of it in
// the same encoding: through a query of `HubClient` and of the published client over the transport, and through a mutation of each. A
// value that went through the database (where whole numbers are one kind) is compared with what the stock protocol brings of it.
import { createInterface } from "node:readline";

import { ConvexClient } from "convex-1.48.0/browser";
import { convexToJson, jsonToConvex } from "convex-1.48.0/values";
import { WebSocket } from "ws";

import * as ours from "../../clients/js/dist/index.js";
import { canonical } from "../../clients/js/dist/msgpack.js";
import { same } from "./compare.mjs";

const [address] = process.argv.slice(2);
const small = new ours.HubClient(address, { webSocket: WebSocket });
const published = new ConvexClient(address, { webSocketConstructor: ours.hubTransport({ webSocket: WebSocket }) });
const stock = new ConvexClient(address);
const shown = {};
small.subscribe("cells:get", { name: "there" }, (value) => (shown.small = value));
published.onUpdate("cells:get", { name: "there" }, (value) => (shown.published = value));

async function thereAndBack(json) {
  const value = jsonToConvex(json);
  const args = { name: "there", value };
  const back = {
    askedSmall: await small.query("cells:echo", { value }),
    askedPublished: await published.query("cells:echo", { value }),
    putSmall: await small.mutation("cells:put", args),
    putPublished: await published.mutation("cells:put", args),
  };
  const kept = await stock.query("cells:get", { name: "there" });
  await small.mutation("cells:put", { name: "marker", value });
  await published.mutation("cells:put", { name: "marker", value });
  const different = Object.keys(back).filter((name) => !same(back[name], value));
  different.push(...Object.keys(shown).filter((name) => !same(shown[name], kept)));
  return { different, back: convexToJson(back.askedSmall), canonical: Buffer.from(canonical(value)).toString("hex") };
}

process.stdout.write(`${JSON.stringify({ event: "started" })}\n`);
for await (const line of createInterface({ input: process.stdin })) {
  const answer = await thereAndBack(JSON.parse(line)).catch((error) => ({ error: error.message }));
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
process.exit(0);
