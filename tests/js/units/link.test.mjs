// The client's side of a link checks what the published client checks: a transition that does not start where it stands is refused.
import assert from "node:assert/strict";
import { test } from "node:test";

import { Link } from "../../../clients/js/dist/link.js";
import { canonical } from "../../../clients/js/dist/msgpack.js";
import { Shelf } from "../../../clients/js/dist/shelf.js";
import { fromStock } from "../../../clients/js/dist/values.js";
import { WarmQueries } from "../../../clients/js/dist/warm.js";

const DEPLOYMENT = "hub-client:test:";
const ts = (number) => Buffer.from(new BigUint64Array([BigInt(number)]).buffer).toString("base64");
const connect = (connectionCount = 0) => ({ type: "Connect", sessionId: "s", connectionCount, lastCloseReason: null });
const add = (queryId, path, args = {}) => ({ type: "Add", queryId, udfPath: path, args: [args] });
const remove = (queryId) => ({ type: "Remove", queryId });
const modify = (baseVersion, ...modifications) => ({ type: "ModifyQuerySet", baseVersion, newVersion: baseVersion + 1, modifications });
const updated = (queryId, value) => ({ type: "QueryUpdated", queryId, value, journal: null, logLines: [] });
const token = (sub) => `e30.${Buffer.from(JSON.stringify({ iss: "i", sub })).toString("base64url")}.s`;
const authenticate = (baseVersion, sub) => ({ type: "Authenticate", baseVersion, tokenType: "User", value: token(sub) });
const warm = (path) => ({ key: `["${path}",{}]`, path, args: {}, until: Date.now() + 60_000 });

/** A cache in memory. */
function memory(stored = {}) {
  return {
    stored,
    async load(scope) {
      return Object.entries(stored[scope] ?? {});
    },
    store(scope, key, value) {
      stored[scope] = { ...stored[scope], [key]: value };
    },
    async erase(deployment, except) {
      for (const scope of Object.keys(stored)) if (scope.startsWith(deployment) && scope !== except) delete stored[scope];
    },
  };
}

const shelfOf = (cache) => new Shelf(undefined, cache, fromStock);

/** A link, the hub's side of it (which counts versions), and what the client was shown. */
class Wire {
  constructor(shelf = shelfOf(), warm = new WarmQueries()) {
    this.shelf = shelf;
    this.warm = warm;
    this.link = new Link(shelf, this.warm, DEPLOYMENT);
    this.version = { querySet: 0, identity: 0, ts: ts(0) };
    this.sent = [];
    this.clientVersion = this.version;
    this.screen = new Map();
  }
  send(...messages) {
    for (const message of messages) this.sent.push(...this.link.send(message).map((out) => this.link.offer(out)));
    this.show();
  }
  heat(query) {
    this.warm.heat(query);
    this.sent.push(...this.link.heat(query));
  }
  /** A transition of the hub to everything that it was sent. */
  answer(at, ...modifications) {
    const sets = this.sent.filter(({ type }) => type === "ModifyQuerySet");
    const identity = this.sent.filter(({ type }) => type === "Authenticate").length;
    const endVersion = { querySet: sets.at(-1)?.newVersion ?? 0, identity, ts: ts(at) };
    const transition = { type: "Transition", startVersion: this.version, endVersion, modifications };
    this.version = endVersion;
    this.client(this.link.receive(transition));
    this.show();
  }
  show() {
    const transition = this.link.shows();
    if (transition) this.client(transition);
  }
  /** As the stock client takes a transition; a wrong start would wedge it for ever. */
  client({ startVersion, endVersion, modifications }) {
    assert.deepEqual(startVersion, this.clientVersion);
    this.clientVersion = endVersion;
    assert.equal(new Set(modifications.map(({ queryId }) => queryId)).size, modifications.length, "one result for each query");
    for (const { type, queryId, value } of modifications) {
      if (type === "QueryRemoved") this.screen.delete(queryId);
      else this.screen.set(queryId, value);
    }
  }
  get lastSent() {
    return this.sent.at(-1);
  }
}

test("a client that is left alone hears exactly what the hub says", () => {
  const wire = new Wire();
  wire.send(connect(), modify(0, add(0, "m:list")));

  wire.answer(5, updated(0, ["x"]));

  assert.deepEqual(wire.lastSent.modifications, [add(0, "m:list")]);
  assert.deepEqual(wire.clientVersion, { querySet: 1, identity: 0, ts: ts(5) });
  assert.deepEqual([...wire.screen], [[0, ["x"]]]);
});

test("a warm query is shown at once, and its updates from then on", () => {
  const wire = new Wire();
  wire.send(connect(), modify(0));
  wire.heat(warm("m:list"));
  wire.answer(5, updated(2_000_000_000, "first"));
  assert.equal(wire.screen.size, 0);
  const before = wire.sent.length;

  wire.send(modify(1, add(0, "m:list")));

  assert.equal(wire.sent.length, before, "nothing was asked of the hub");
  assert.equal(wire.screen.get(0), "first");
  wire.answer(6, updated(2_000_000_000, "second"));
  assert.equal(wire.screen.get(0), "second");
  assert.equal(wire.clientVersion.querySet, 2);
});

test("what was warm for one person is not shown to the one who signed in since", () => {
  const wire = new Wire();
  wire.send(connect(), authenticate(0, "ann"), modify(0));
  wire.heat(warm("m:list"));
  wire.answer(5, updated(2_000_000_000, "Ann's"));

  wire.send(authenticate(1, "bob"), modify(1, add(0, "m:list")));

  assert.deepEqual([...wire.screen], []);
  assert.deepEqual(wire.sent.at(-1).modifications, [add(0, "m:list")]);
  wire.answer(6, updated(2_000_000_000, "Bob's"), updated(0, "Bob's"));
  assert.deepEqual([...wire.screen], [[0, "Bob's"]]);
});

for (const [whose, ...changes] of [["Bob's", updated(2_000_000_000, "Bob's")], ["everybody's"]]) {
  test(`what waits to be shown to one person is not shown to the one who signed in since: ${whose} comes from the hub`, () => {
    const wire = new Wire();
    wire.send(connect(), authenticate(0, "ann"), modify(0));
    wire.heat(warm("m:list"));
    wire.answer(5, updated(2_000_000_000, "everybody's"));
    wire.link.receive({ type: "MutationResponse", requestId: 0, success: true, result: null, ts: ts(6), logLines: [] });
    wire.send(modify(1, add(0, "m:list"))); // it waits for the mutation's effects

    wire.send(authenticate(1, "bob"));
    const ofAnn = { ...wire.version, querySet: 2, ts: ts(6) };
    wire.client(wire.link.receive({ type: "Transition", startVersion: wire.version, endVersion: ofAnn, modifications: [] }));
    wire.version = ofAnn;
    wire.show();

    assert.deepEqual([...wire.screen], []);
    wire.answer(7, ...changes);
    assert.deepEqual([...wire.screen], [[0, whose]]);
  });
}

test("a query that is warm stays with the hub when the client leaves it, until it cools", () => {
  const wire = new Wire();
  wire.send(connect(), modify(0, add(0, "m:list")));
  wire.heat(warm("m:list"));
  wire.answer(5, updated(0, "first"));

  wire.send(modify(1, remove(0)));
  wire.answer(6, updated(0, "second"));
  wire.send(modify(2, add(1, "m:list")));

  assert.deepEqual([...wire.screen], [[1, "second"]]);
  assert.equal(wire.sent.filter(({ type }) => type === "ModifyQuerySet").length, 1);
  wire.send(modify(3, remove(1)));
  wire.warm.cool(warm("m:list").key);
  assert.deepEqual(wire.link.cool(warm("m:list").key)[0].modifications, [remove(0)]);
  wire.send(modify(4, add(2, "m:list")));
  assert.deepEqual(wire.lastSent.modifications, [add(2, "m:list")], "what leaves is not taken up again");
});

test("query set versions of the client follow those of the wire, however many of its own the transport has made", () => {
  const wire = new Wire();
  wire.send(connect(), modify(0, add(0, "m:a")));
  wire.heat(warm("m:w"));
  wire.send(modify(1, add(1, "m:b")), modify(2, add(2, "m:w")), modify(3, remove(0)));

  wire.answer(5, updated(1, "b"), updated(2_000_000_000, "w"));

  assert.deepEqual(wire.sent.map(({ newVersion }) => newVersion).filter(Boolean), [1, 2, 3, 4]);
  assert.equal(wire.clientVersion.querySet, 4);
  assert.equal(wire.screen.get(2), "w");
});

test("nothing is shown on a socket of a client that came back before the hub has spoken", async () => {
  const before = new Wire(shelfOf(memory({ "hub-client:test:anyone": { '["m:list",{}]': "old" } })));
  before.send(connect(), modify(0));
  await before.shelf.ready();
  before.answer(5);

  const wire = new Wire(before.shelf);
  wire.send(connect(1), modify(0, add(0, "m:list")));
  wire.link.showStored();
  wire.show();

  assert.equal(wire.screen.size, 0);
  wire.answer(6);
  assert.deepEqual([...wire.screen], [[0, "old"]], "then there is nothing that it could hide");
});

test("a stored value is shown at time zero, to be replaced by the hub's", async () => {
  const wire = new Wire(shelfOf(memory({ "hub-client:test:anyone": { '["m:list",{}]': "old" } })));
  wire.send(connect(0), modify(0, add(0, "m:list")));
  await wire.shelf.ready();

  wire.link.showStored();
  wire.show();

  assert.deepEqual(wire.clientVersion, { querySet: 0, identity: 0, ts: ts(0) });
  assert.deepEqual([...wire.screen], [[0, "old"]]);
  wire.answer(5, updated(0, "new"));
  assert.deepEqual([...wire.screen], [[0, "new"]]);
});

test("a stored value is offered to the hub with its digest", async () => {
  const shelf = shelfOf(memory({ "hub-client:test:anyone": { '["m:list",{}]': ["old"] } }));
  shelf.enter(DEPLOYMENT, "hub-client:test:anyone");
  await shelf.ready();
  const wire = new Wire(shelf);

  wire.send(connect(0), modify(0, add(0, "m:list")));

  const digest = await crypto.subtle.digest("SHA-256", canonical(["old"]));
  assert.deepEqual(wire.lastSent.modifications[0].held, [new Uint8Array(digest)]);
  wire.answer(5, { type: "QueryPatched", queryId: 0, held: 0, edit: null, logLines: [] });
  assert.deepEqual([...wire.screen], [[0, ["old"]]]);
});

test("no value made here resolves a mutation whose effects are still to come", async () => {
  const wire = new Wire(shelfOf(memory({ "hub-client:test:anyone": { '["m:new",{}]': "old" } })));
  wire.send(connect(0), modify(0, add(0, "m:list")));
  await wire.shelf.ready();
  wire.answer(5, updated(0, []));
  wire.link.receive({ type: "MutationResponse", requestId: 0, success: true, result: null, ts: ts(5), logLines: [] });

  wire.send(modify(1, add(1, "m:new")));

  assert.equal(wire.screen.has(1), false);
  wire.answer(5);
  assert.equal(wire.screen.get(1), "old");
});

test("what one person was shown is neither shown nor offered to another", async () => {
  const cache = memory();
  const wire = new Wire(shelfOf(cache));
  wire.send(connect(0), authenticate(0, "ann"), modify(0, add(0, "m:list")));
  wire.answer(5, updated(0, "Ann's"));
  wire.link.close();

  const next = new Wire(wire.shelf);
  next.send(connect(0), authenticate(0, "bob"), modify(0, add(0, "m:list")));
  await next.shelf.ready();
  next.link.showStored();
  next.show();

  assert.equal(next.screen.size, 0);
  assert.equal(next.lastSent.modifications[0].held, undefined);
  assert.equal(Object.keys(cache.stored).some((scope) => scope.endsWith("ann")), false);
});

test("a value that came for the one before is not stored for the one who signed in since", async () => {
  const cache = memory();
  const wire = new Wire(shelfOf(cache));
  wire.send(connect(0), authenticate(0, "ann"), modify(0, add(0, "m:list")));
  wire.link.send(authenticate(1, "bob")); // the hub has not heard of it yet
  wire.answer(5, updated(0, "Ann's"));
  wire.link.close();

  assert.deepEqual(cache.stored, {});
  assert.equal(wire.shelf.kept.get('["m:list",{}]'), undefined);
});

test("values of callers that cannot be told apart are never shown from memory", async () => {
  const shelf = shelfOf(memory());
  const opaque = (value) => ({ type: "Authenticate", baseVersion: 0, tokenType: "User", value });
  const wire = new Wire(shelf);
  wire.send(connect(0), opaque("one"), modify(0, add(0, "m:list")));
  wire.answer(5, updated(0, "private"));
  wire.link.close();

  const next = new Wire(shelf);
  next.send(connect(0), opaque("two"), modify(0, add(0, "m:list")));
  next.link.showStored();
  next.show();
  next.answer(6);

  assert.equal(next.screen.size, 0);
});

test("queries that are warm are so on the next socket, too", () => {
  const wire = new Wire();
  wire.send(connect(), modify(0));
  wire.heat(warm("m:list"));
  wire.link.close();

  const next = new Wire(wire.shelf, wire.warm);
  next.send(connect(1), modify(0, add(0, "m:other")));

  assert.deepEqual(next.lastSent.modifications, [add(0, "m:other"), add(2_000_000_000, "m:list")]);
});

test("what is the same for the one who signed in is stored for them", () => {
  const cache = memory();
  const wire = new Wire(shelfOf(cache));
  wire.send(connect(), modify(0, add(0, "m:list")));
  wire.answer(5, updated(0, "everybody's"));

  wire.send(authenticate(0, "ann"));
  wire.answer(6);

  assert.deepEqual(cache.stored, { "hub-client:test:i:ann": { '["m:list",{}]': "everybody's" } });
});

test("a stored value that waits is left out when the hub's comes first", async () => {
  const wire = new Wire(shelfOf(memory({ "hub-client:test:anyone": { '["m:new",{}]': "old" } })));
  wire.send(connect(0), modify(0));
  await wire.shelf.ready();
  wire.answer(5);
  wire.link.receive({ type: "MutationResponse", requestId: 0, success: true, result: null, ts: ts(6), logLines: [] });
  wire.send(modify(1, add(1, "m:new")));

  wire.answer(6, updated(1, "new"));

  assert.deepEqual([...wire.screen], [[1, "new"]]);
});

test("values that are read too late, for somebody who has left, are not taken", async () => {
  const cache = memory({ "hub-client:test:i:ann": { '["m:list",{}]': "Ann's" } });
  let read;
  cache.load = (scope) => new Promise((resolve) => (read ??= () => resolve(scope.endsWith("ann") ? [['["m:list",{}]', "Ann's"]] : [])));
  const wire = new Wire(shelfOf(cache));
  wire.send(connect(), authenticate(0, "ann"), modify(0, add(0, "m:list")), authenticate(1, "bob"));

  read();
  await new Promise((resolve) => setImmediate(resolve));
  wire.link.showStored();
  wire.show();

  assert.equal(wire.screen.size, 0);
});
