import assert from "node:assert/strict";
import { afterEach, mock, test } from "node:test";

import { Negotiation } from "../../../clients/js/dist/negotiation.js";

afterEach(() => mock.timers.reset());

test("a server that never opened a socket with subprotocols is tried without at once", () => {
  assert.equal(new Negotiation("hub.v1.msgpack").shouldTryStock(), true);
});

test("a server that was native is doubted after some failures only", () => {
  const negotiation = new Negotiation("hub.v1.msgpack");
  negotiation.opened("hub.v1.msgpack");

  assert.deepEqual([1, 2, 3].map(() => negotiation.shouldTryStock()), [false, false, true]);
  negotiation.opened("hub.v1.msgpack");
  assert.equal(negotiation.shouldTryStock(), false);
});

test("a server that spoke the stock protocol is asked again after a while", () => {
  mock.timers.enable({ apis: ["Date"] });
  const negotiation = new Negotiation("hub.v1.msgpack");
  assert.deepEqual(negotiation.offers(), ["hub.v1.msgpack"]);
  negotiation.opened("");

  assert.deepEqual(negotiation.offers(), []);
  mock.timers.tick(600_000);
  assert.deepEqual(negotiation.offers(), ["hub.v1.msgpack"]);
});

test("frames that cannot be read lead to the stock protocol", () => {
  const negotiation = new Negotiation("hub.v1.msgpack");
  negotiation.opened("hub.v1.msgpack");
  negotiation.distrust();

  assert.deepEqual(negotiation.offers(), []);
});

test("who wants the stock protocol offers nothing", () => {
  assert.deepEqual(new Negotiation("").offers(), []);
});
