import assert from "node:assert/strict";
import { test } from "node:test";

import { LostFrame, Replica } from "../../../clients/js/dist/replica.js";

const at = (querySet, identity, ts) => ({ querySet, identity, ts: Buffer.from(new BigUint64Array([BigInt(ts)]).buffer).toString("base64") });
const transition = (startVersion, endVersion, ...modifications) => ({ type: "Transition", startVersion, endVersion, modifications });
const updated = (queryId, value) => ({ type: "QueryUpdated", queryId, value, journal: null, logLines: [] });
const patched = (queryId, edit, more = {}) => ({ type: "QueryPatched", queryId, edit, logLines: [], ...more });
const failed = (queryId) => ({ type: "QueryFailed", queryId, errorMessage: "no", journal: null, logLines: [] });

function showing(...modifications) {
  const replica = new Replica();
  replica.receive(transition(at(0, 0, 0), at(1, 0, 5), ...modifications));
  return replica;
}

test("an edit becomes the whole value", () => {
  const replica = showing(updated(0, { text: "a" }));

  const { modifications } = replica.receive(transition(at(1, 0, 5), at(1, 0, 6), patched(0, [1, { text: [3, "b"] }])));

  assert.deepEqual(modifications, [{ type: "QueryUpdated", queryId: 0, value: { text: "ab" }, logLines: [] }]);
});

test("a query that failed goes on from its last value", () => {
  const replica = showing(updated(0, "a"));
  replica.receive(transition(at(1, 0, 5), at(1, 0, 6), failed(0)));

  replica.receive(transition(at(1, 0, 6), at(1, 0, 7), patched(0, [3, "b"])));

  assert.equal(replica.value(0), "ab");
});

test("the first result may build on a value that was offered", () => {
  const replica = new Replica();
  replica.offered(0, ["one", "two"]);
  replica.offered(1, ["same"]);

  const { modifications } = replica.receive(
    transition(at(0, 0, 0), at(1, 0, 5), patched(0, [3, "!"], { held: 1 }), patched(1, null, { held: 0 })),
  );

  assert.deepEqual(modifications.map(({ value }) => value), ["two!", "same"]);
});

test("an offer counts for the first result only", () => {
  const replica = new Replica();
  replica.offered(0, ["old"]);
  replica.receive(transition(at(0, 0, 0), at(1, 0, 5), updated(0, "new")));

  assert.throws(() => replica.receive(transition(at(1, 0, 5), at(1, 0, 6), patched(0, null, { held: 0 }))), LostFrame);
});

for (const [name, start] of [["timestamp", at(1, 0, 4)], ["query set", at(2, 0, 5)], ["identity", at(1, 1, 5)]]) {
  test(`a transition from another ${name} says that a frame was lost`, () => {
    assert.throws(() => showing(updated(0, 1)).receive(transition(start, at(3, 0, 7))), LostFrame);
  });
}

test("a query that was removed has no value to edit", () => {
  const replica = showing(updated(0, "a"));
  replica.receive(transition(at(1, 0, 5), at(2, 0, 5), { type: "QueryRemoved", queryId: 0 }));

  assert.throws(() => replica.receive(transition(at(2, 0, 5), at(2, 0, 6), patched(0, [3, "b"]))), LostFrame);
});
