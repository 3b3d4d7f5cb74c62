import assert from "node:assert/strict";
import { test } from "node:test";

import { decode } from "../../../clients/js/node_modules/@msgpack/msgpack/dist.esm/index.mjs";
import { convexToJson, jsonToConvex } from "convex-1.48.0/values";

import { canonical, msgpackFormat } from "../../../clients/js/dist/msgpack.js";
import { jsonFormat } from "../../../clients/js/dist/json.js";
import { pathOf, queryKey } from "../../../clients/js/dist/names.js";
import { fromStock, ticks, toStock } from "../../../clients/js/dist/values.js";

const bytes = (...items) => new Uint8Array(items).buffer;
const hex = (array) => Buffer.from(array).toString("hex");
const SPECIAL = {
  nothing: null, yes: true, text: "a😀\u0000", empty: "", whole: 3, minus: -7, half: 0.5, huge: 1e300, zero: 0, minusZero: -0,
  nan: NaN, inf: Infinity, minusInf: -Infinity, int: 5n, least: -(2n ** 63n), most: 2n ** 63n - 1n, bytes: bytes(0, 255, 128),
  noBytes: bytes(), list: [1, [2n, [-0]], {}], object: { deep: { deeper: [NaN, bytes(1)] } },
};

test("the stock form is the one that the convex client reads and writes", () => {
  assert.deepEqual(toStock(SPECIAL), convexToJson(SPECIAL));
  assert.deepEqual(fromStock(convexToJson(SPECIAL)), SPECIAL);
  assert.deepEqual(jsonToConvex(toStock(SPECIAL)), SPECIAL);
  assert.ok(Object.is(fromStock(toStock(-0)), -0));
});

test("a field that is undefined is absent", () => {
  assert.deepEqual(toStock({ a: undefined, b: 1 }), { b: 1 });
  assert.equal(hex(canonical({ a: undefined, b: null })), hex(canonical({ b: null })));
});

test("an int64 that is none is refused", () => {
  assert.throws(() => canonical({ n: 2n ** 63n }), RangeError);
});

test("canonical bytes are those of the specification", () => {
  assert.equal(hex(canonical({ b: 1, a: -0 })), "82a161cb8000000000000000a162cb3ff0000000000000");
  assert.equal(hex(canonical([NaN, 5n, bytes(1, 2), "é"])), "94cb7ff8000000000000d7010000000000000005c4020102a2c3a9");
  assert.equal(hex(canonical([null, true, false, [], {}])), "95c0c3c29080");
});

test("ids of a message are integers, and the numbers of its arguments floats", () => {
  const format = msgpackFormat({ read: (value) => value, write: (value) => value });

  const message = decode(format.encode({ type: "Mutation", requestId: 7, udfPath: "m:f", args: [{ n: 7, z: -0 }] }), { useBigInt64: true });

  assert.equal(message.requestId, 7n);
  assert.equal(message.args[0].n, 7);
  assert.ok(Object.is(message.args[0].z, -0));
});

test("frames that are no messages are refused", () => {
  const format = msgpackFormat({ read: (value) => value, write: (value) => value });
  const frameOf = (value) => canonical(value).slice().buffer;
  for (const frame of ["text", frameOf(5), frameOf([9]), frameOf({})]) {
    assert.throws(() => format.decode(frame), { name: "BadFrame" });
  }
});

test("arguments that are called as fields of messages are, stay what they are", () => {
  const format = jsonFormat({ read: (value) => value, write: fromStock });
  const args = [{ args: [{ $integer: "BQAAAAAAAAA=" }], held: ["x"], modifications: 1 }];

  const sent = JSON.parse(format.encode({ type: "Mutation", requestId: 0, udfPath: "m:f", args }));

  assert.deepEqual(sent.args, args);
});

test("timestamps compare as numbers", () => {
  assert.equal(ticks("AQAAAAAAAAA="), 1n);
  assert.ok(ticks("AAAAAAAAAIA=") > ticks("/////////38="));
});

test("a query has one key however it is written", () => {
  assert.equal(pathOf("messages.js:list"), "messages:list");
  assert.equal(pathOf("messages"), "messages:default");
  assert.equal(pathOf({ [Symbol.for("functionName")]: "messages:list" }), "messages:list");
  assert.equal(queryKey("m:f", { b: 1, a: { d: 1, c: 2 } }), queryKey("m:f", { a: { c: 2, d: 1 }, b: 1 }));
  assert.notEqual(queryKey("m:f", { a: 1 }), queryKey("m:f", { a: "1" }));
});
