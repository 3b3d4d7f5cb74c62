// `HubClient` against sockets that a test plays by hand: what it says, and what it makes of what it hears.
import assert from "node:assert/strict";
import { afterEach, mock, test } from "node:test";

import { decode, encode } from "../../../clients/js/node_modules/@msgpack/msgpack/dist.esm/index.mjs";
import { backoffMs } from "../../../clients/js/dist/backoff.js";
import { ApplicationError, HubClient } from "../../../clients/js/dist/index.js";

const TS = (number) => new Uint8Array(new BigUint64Array([BigInt(number)]).buffer);
const token = (sub, more = {}) => `e30.${Buffer.from(JSON.stringify({ iss: "i", sub, ...more })).toString("base64url")}.s`;
/** Lets promises run; digests, which other threads compute, may take longer. */
const settled = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

const clients = [];
afterEach(() => {
  for (const client of clients.splice(0)) client.close();
  mock.timers.reset();
});

/** A hub with one socket at a time, and the client of it. */
class Hub {
  constructor(options = {}) {
    const hub = this;
    this.sockets = [];
    class FakeSocket {
      protocol = "hub.v1.msgpack";
      sent = [];
      version = [0, 0, TS(0)];
      constructor(url, protocols) {
        Object.assign(this, { url, protocols });
        hub.sockets.push(this);
      }
      send(data) {
        this.sent.push(decode(data));
      }
      close() {
        this.isClosed = true;
      }
    }
    this.client = new HubClient("http://hub", { webSocket: FakeSocket, ...options });
    clients.push(this.client);
    this.states = [];
    this.client.onConnectionState((state) => this.states.push(state));
  }
  get socket() {
    return this.sockets.at(-1);
  }
  /** The connection is there, and the client has said what it says first. */
  async accept() {
    this.socket.onopen();
    while (this.socket.sent.length === 0) await settled();
  }
  say(frame) {
    this.socket.onmessage({ data: encode(frame).slice().buffer });
  }
  /** A transition to everything that was asked for. */
  show(ts, ...modifications) {
    const { socket } = this;
    const sets = socket.sent.filter(({ type }) => type === "ModifyQuerySet").length;
    const identity = socket.sent.filter(({ type }) => type === "Authenticate").length;
    const end = [sets, identity, TS(ts)];
    this.say([1, socket.version, end, modifications]);
    socket.version = end;
  }
  answer(requestId, ts, result = null) {
    this.say({ type: "MutationResponse", requestId, success: true, result, ts: TS(ts), logLines: [] });
  }
  break() {
    this.socket.onclose({ code: 1006, reason: "" });
  }
  said(type) {
    return this.socket.sent.filter((message) => message.type === type);
  }
}

test("it says who it is, then whom it speaks for, then what it wants", async () => {
  const hub = new Hub({ auth: token("ann") });
  hub.client.subscribe("m:list", { n: 1 }, () => {});
  await hub.accept();

  assert.equal(hub.socket.url, "ws://hub/api/sync");
  assert.deepEqual(hub.socket.protocols, ["hub.v1.msgpack"]);
  assert.deepEqual(hub.socket.sent.map(({ type }) => type), ["Connect", "Authenticate", "ModifyQuerySet"]);
  const [{ sessionId, connectionCount, lastCloseReason }] = hub.socket.sent;
  assert.match(sessionId, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.deepEqual([connectionCount, lastCloseReason], [0, "InitialConnect"]);
  assert.deepEqual(hub.said("ModifyQuerySet")[0].modifications, [{ type: "Add", queryId: 0, udfPath: "m:list", args: [{ n: 1 }] }]);
});

test("equal queries are one subscription, until the last of them goes", async () => {
  const hub = new Hub();
  const seen = [];
  const stop = hub.client.subscribe("m:list", { a: 1, b: 2 }, (value) => seen.push(["one", value]));
  hub.client.subscribe("m.js:list", { b: 2, a: 1 }, (value) => seen.push(["two", value]));
  await hub.accept();
  hub.show(5, [1, 0, "x", null]);
  stop();
  hub.show(6, [2, 0, [3, "y"]]);

  assert.deepEqual(seen, [["one", "x"], ["two", "x"], ["two", "xy"]]);
  assert.equal(hub.said("ModifyQuerySet").length, 1);
});

test("who comes later is told what is known", async () => {
  const hub = new Hub();
  hub.client.subscribe("m:list", {}, () => {});
  await hub.accept();
  hub.show(5, [1, 0, "x", null]);

  const seen = [];
  hub.client.subscribe("m:list", {}, (value, { isStale }) => seen.push([value, isStale]));
  assert.deepEqual(seen, [], "not before `subscribe` has returned");
  await settled();

  assert.deepEqual(seen, [["x", false]]);
});

test("a mutation resolves when its effects are shown, in the order answer, values, promise", async () => {
  const hub = new Hub();
  const order = [];
  hub.client.subscribe("m:list", {}, (value) => order.push(value));
  const done = hub.client.mutation("m:add", {}).then((result) => order.push(result));
  await hub.accept();
  hub.show(5, [1, 0, "before", null]);

  hub.answer(0, 7, "result");
  hub.show(6);
  await settled();
  assert.deepEqual(order, ["before"]);
  hub.show(7, [1, 0, "after", null]);
  await done;

  assert.deepEqual(order, ["before", "after", "result"]);
});

test("what is not settled is said again on the next socket, under the same ids and in order, after the query set", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const hub = new Hub();
  hub.client.subscribe("m:list", {}, () => {});
  const answers = ["one", "two", "three"].map((name) => hub.client.mutation("m:add", { name }));
  await hub.accept();
  const { sessionId } = hub.said("Connect")[0];
  hub.show(5, [1, 0, "x", null]);
  hub.answer(0, 5, "first");
  hub.answer(1, 9, "second"); // its effects are still to come
  hub.show(6);
  assert.equal(await answers[0], "first");

  hub.break();
  mock.timers.tick(16_000);
  await hub.accept();

  assert.equal(hub.sockets.length, 2);
  const [connect, set, ...calls] = hub.socket.sent;
  assert.deepEqual([connect.sessionId, connect.connectionCount, connect.lastCloseReason], [sessionId, 1, "closed with code 1006"]);
  assert.deepEqual(connect.maxObservedTimestamp, TS(9));
  assert.equal(set.type, "ModifyQuerySet");
  assert.deepEqual(calls.map(({ requestId, args }) => [requestId, args[0].name]), [[1, "two"], [2, "three"]]);
  hub.answer(1, 12, "another answer to the same");
  hub.answer(2, 12, "third");
  hub.show(12, [1, 0, "y", null]);
  assert.deepEqual(await Promise.all(answers), ["first", "second", "third"]);
});

test("the value that is held is offered, and taken for the base of what comes", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const hub = new Hub();
  const seen = [];
  hub.client.subscribe("m:list", {}, (value) => seen.push(value));
  await hub.accept();
  hub.show(5, [1, 0, { rows: [{ _id: "a" }] }, "journal"]);

  hub.break();
  mock.timers.tick(16_000);
  await hub.accept();
  const [add] = hub.said("ModifyQuerySet")[0].modifications;
  assert.deepEqual([add.held.length, add.held[0].length, add.journal], [1, 32, "journal"]);
  hub.show(6, [4, 0, 0, [1, { rows: [2, [[2, 1, [{ _id: "b" }]]]] }], "journal"]);

  assert.deepEqual(seen, [{ rows: [{ _id: "a" }] }, { rows: [{ _id: "a" }, { _id: "b" }] }]);
  assert.equal(seen[1].rows[0], seen[0].rows[0], "what did not change is the same object");
});

test("a frame that was lost ends the socket, and nothing that came after it is shown", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const hub = new Hub();
  const seen = [];
  hub.client.subscribe("m:list", {}, (value) => seen.push(value));
  await hub.accept();
  hub.show(5, [1, 0, "x", null]);
  hub.socket.version = [1, 0, TS(6)];

  hub.show(7, [2, 0, [3, "y"]]);

  assert.deepEqual(seen, ["x"]);
  assert.ok(hub.socket.isClosed);
  mock.timers.tick(200);
  assert.equal(hub.sockets.length, 2, "the network is well: it comes back soon");
});

test("errors with data are the application's", async () => {
  const hub = new Hub();
  const errors = [];
  hub.client.subscribe("m:list", {}, () => {}, (error) => errors.push(error));
  const plain = hub.client.mutation("m:add", {});
  const typed = hub.client.mutation("m:add", {});
  await hub.accept();
  hub.show(5, [3, 0, "no", null, null, { code: "NO" }]);
  hub.say({ type: "MutationResponse", requestId: 0, success: false, result: "plain", logLines: [], ts: null });
  hub.say({ type: "MutationResponse", requestId: 1, success: false, result: "typed", logLines: [], ts: null, errorData: { n: 1 } });

  assert.ok(errors[0] instanceof ApplicationError);
  assert.deepEqual(errors[0].data, { code: "NO" });
  await assert.rejects(plain, { name: "HubError", code: "FunctionFailed", message: "plain" });
  await assert.rejects(typed, { name: "ApplicationError", code: "ApplicationError", data: { n: 1 } });
});

test("a query is asked once", async () => {
  const hub = new Hub();
  const value = hub.client.query("m:get", {});
  await hub.accept();
  hub.show(5, [1, 0, 7, null]);

  assert.equal(await value, 7);
  await settled();
  assert.deepEqual(hub.said("ModifyQuerySet").at(-1).modifications, [{ type: "Remove", queryId: 0 }]);
});

test("a prefetched query has its value when it is subscribed to, and goes when its time is over", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const hub = new Hub();
  hub.client.prefetch("m:list", {}, { ttlMs: 1000 });
  await hub.accept();
  hub.show(5, [1, 0, "x", null]);
  const seen = [];
  const stop = hub.client.subscribe("m:list", {}, (value) => seen.push(value));
  await settled();
  stop();

  assert.deepEqual(seen, ["x"]);
  assert.equal(hub.said("ModifyQuerySet").length, 1);
  mock.timers.tick(1000);
  assert.deepEqual(hub.said("ModifyQuerySet").at(-1).modifications, [{ type: "Remove", queryId: 0 }]);
});

test("a token is renewed before it expires, and the hub is told", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const asked = [];
  const auth = ({ forceRefresh }) => {
    asked.push(forceRefresh);
    return token("ann", { iat: 1000, exp: 1060, n: asked.length });
  };
  const hub = new Hub({ auth });
  await hub.accept();
  hub.show(5);
  assert.equal(hub.states.at(-1).auth, "confirmed");

  mock.timers.tick(50_000);
  await settled();

  assert.deepEqual(asked, [false, true]);
  assert.deepEqual(hub.said("Authenticate").map(({ baseVersion }) => baseVersion), [0, 1]);
  assert.equal(hub.sockets.length, 1);
});

test("a token that is refused is fetched anew, and given up after the third", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const asked = [];
  const hub = new Hub({ auth: ({ forceRefresh }) => (asked.push(forceRefresh), token("ann")) });
  for (let refusal = 0; refusal < 3; refusal++) {
    await hub.accept();
    hub.say({ type: "AuthError", error: "no", baseVersion: 0, authUpdateAttempted: true });
    mock.timers.tick(16_000);
  }
  await hub.accept();
  hub.show(5);

  assert.deepEqual(asked, [false, true, true]);
  assert.deepEqual(hub.said("Authenticate"), []);
  assert.deepEqual([hub.states.at(-1).auth, hub.states.at(-1).status], ["refused", "connected"]);
});

test("the service key goes as what it is", async () => {
  const hub = new Hub({ auth: { serviceKey: "key" } });
  await hub.accept();

  const { tokenType, value } = hub.said("Authenticate")[0];
  assert.deepEqual([tokenType, value], ["Admin", "key"]);
});

test("who signs out leaves nothing that the next one is shown or the hub is offered", async () => {
  const stored = new Map();
  const cache = {
    holdsStockForm: false,
    load: async (scope) => [...(stored.get(scope) ?? [])],
    store: (scope, key, value) => stored.set(scope, (stored.get(scope) ?? new Map()).set(key, value)),
    flush: async () => {},
    erase: async (_, except) => [...stored.keys()].filter((scope) => scope !== except).forEach((scope) => stored.delete(scope)),
  };
  const hub = new Hub({ auth: token("ann"), cache });
  const seen = [];
  hub.client.subscribe("m:list", {}, (value) => seen.push(value));
  const leave = hub.client.subscribe("m:was", {}, () => {});
  await hub.accept();
  hub.show(5, [1, 0, "Ann's", null], [1, 1, "Ann's too", null]);
  leave();
  assert.equal(stored.size, 1);

  let known;
  hub.client.setAuth(() => new Promise((resolve) => (known = () => resolve(token("bob")))));
  hub.client.subscribe("m:list", {}, (value) => seen.push(value));
  hub.client.subscribe("m:was", {}, (value) => seen.push(value));
  await settled();
  known();
  await hub.accept();

  assert.deepEqual(seen, ["Ann's"]);
  assert.equal(stored.size, 0);
  assert.deepEqual(hub.said("ModifyQuerySet")[0].modifications.map(({ held }) => held), [undefined, undefined]);
  hub.show(6, [1, 0, "Bob's", null]);
  assert.deepEqual(seen, ["Ann's", "Bob's", "Bob's"]);
});

test("what one person did is not done again in another's name", async () => {
  const hub = new Hub({ auth: token("ann") });
  await hub.accept();
  hub.show(5);
  const sent = hub.client.mutation("m:send", { text: "ann's" });
  hub.break(); // whether it has arrived, nobody knows
  const waiting = hub.client.mutation("m:send", { text: "ann's, offline" });
  hub.client.setAuth(token("bob"));
  const bobs = hub.client.mutation("m:send", { text: "bob's" });
  await Promise.all([sent, waiting].map((promise) => assert.rejects(promise, { code: "CallerChanged" })).concat(hub.accept()));

  assert.deepEqual(hub.said("Mutation").map(({ args }) => args), [[{ text: "bob's" }]]);
  hub.answer(2, 6, "done");
  hub.show(6);
  assert.equal(await bobs, "done");
});

test("who renews a token keeps what is under way", async () => {
  const hub = new Hub({ auth: token("ann", { iat: 1 }) });
  await hub.accept();
  hub.show(5);
  const sent = hub.client.mutation("m:send", {});
  hub.client.setAuth(token("ann", { iat: 2 }));
  await hub.accept();

  assert.equal(hub.said("Mutation").length, 1);
  hub.answer(0, 6, "done");
  hub.show(6);
  assert.equal(await sent, "done");
});

test("a hub that falls silent is left", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const hub = new Hub();
  await hub.accept();
  hub.show(5);

  mock.timers.tick(59_000);
  hub.say({ type: "Ping" });
  mock.timers.tick(59_000);
  assert.equal(hub.sockets.length, 1);
  mock.timers.tick(1_000);
  mock.timers.tick(150);

  assert.equal(hub.sockets.length, 2);
});

test("closing ends what is under way, and nothing comes after", async () => {
  const hub = new Hub();
  const errors = [];
  hub.client.subscribe("m:list", {}, () => {}, (error) => errors.push(error));
  const [mutation, query] = [hub.client.mutation("m:add", {}), hub.client.query("m:get", {})];
  await hub.accept();

  hub.client.close();

  await assert.rejects(mutation, { code: "ClientClosed" });
  await assert.rejects(query, { code: "ClientClosed" });
  assert.deepEqual(errors, [], "who closes knows");
  assert.equal(hub.states.at(-1).status, "closed");
  assert.throws(() => hub.client.subscribe("m:list", {}, () => {}), { code: "ClientClosed" });
});

test("a subscriber that throws does not keep the others from hearing", async () => {
  const hub = new Hub();
  const seen = [];
  hub.client.subscribe("m:list", {}, () => {
    throw new Error("a bug of the page");
  });
  hub.client.subscribe("m:list", {}, (value) => seen.push(value));
  await hub.accept();
  const later = [];
  mock.method(globalThis, "queueMicrotask", (work) => later.push(work));
  hub.show(5, [1, 0, "x", null]);
  mock.restoreAll();

  assert.deepEqual(seen, ["x"]);
  assert.throws(() => later.forEach((work) => work()), /a bug of the page/);
});

test("waits grow, are spread, and depend on whose fault it was", () => {
  const waits = (reason, random) => [0, 1, 2, 9].map((failures) => backoffMs(failures, reason, () => random));
  assert.deepEqual(waits("closed with code 1006", 0.5), [1000, 2000, 4000, 16000]);
  assert.deepEqual(waits("", 0), [500, 1000, 2000, 8000]);
  assert.deepEqual(waits("LostFrame: …", 1), [150, 300, 600, 24000]);
  assert.deepEqual(waits("TooManyConcurrentRequests", 0.5), [3000, 6000, 12000, 16000]);
});
