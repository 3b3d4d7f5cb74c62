// The test vectors of the wire format, which the server's side runs as well.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { decode } from "../../../clients/js/node_modules/@msgpack/msgpack/dist.esm/index.mjs";
import { apply, BadEdit } from "../../../clients/js/dist/edits.js";
import { jsonFormat } from "../../../clients/js/dist/json.js";
import { canonical, msgpackFormat } from "../../../clients/js/dist/msgpack.js";
import { Replica } from "../../../clients/js/dist/replica.js";
import { adopt, fromStock, toStock } from "../../../clients/js/dist/values.js";

const vectors = (name) => JSON.parse(readFileSync(new URL(`../../vectors/wire/${name}.json`, import.meta.url), "utf8"));
const bytes = (hex) => new Uint8Array(Buffer.from(hex, "hex"));
const hex = (array) => Buffer.from(array).toString("hex");
const same = (value) => value;

const stockMsgpack = msgpackFormat({ read: toStock, write: fromStock });
const nativeMsgpack = msgpackFormat({ read: adopt, write: same });
const stockJson = jsonFormat({ read: same, write: fromStock });
const nativeJson = jsonFormat({ read: fromStock, write: same });

const frame = (packed) => {
  const all = bytes(packed);
  return all.buffer.slice(all.byteOffset, all.byteOffset + all.byteLength);
};

for (const { name, value, msgpack, also = [], canonical: expected, digest } of vectors("values")) {
  test(`value: ${name}`, () => {
    const native = fromStock(value);
    for (const packed of [msgpack, ...also, expected]) {
      const message = Buffer.concat([bytes("82a474797065a450696e67a6726573756c74"), bytes(packed)]);
      const data = message.buffer.slice(message.byteOffset, message.byteOffset + message.byteLength);
      assert.deepStrictEqual(nativeMsgpack.decode(data).result, native);
      assert.deepStrictEqual(stockMsgpack.decode(data).result, toStock(native));
    }
    assert.deepStrictEqual(toStock(native), value);
    assert.equal(hex(canonical(native)), expected);
    assert.equal(createHash("sha256").update(canonical(native)).digest("hex"), digest);
  });
}

const { edits, refused } = vectors("edits");
for (const { name, old, edit, msgpack, new: expected } of edits) {
  test(`edit: ${name}`, () => {
    assert.deepStrictEqual(apply(old, edit), expected, "in stock form");
    assert.deepStrictEqual(apply(fromStock(old), readEdit(nativeMsgpack, msgpack)), fromStock(expected), "natively");
    assert.deepStrictEqual(apply(old, readEdit(stockMsgpack, msgpack)), expected, "from MessagePack to stock form");
  });
}

for (const { name, old, edit, msgpack } of refused) {
  test(`an edit that does not fit: ${name}`, () => {
    assert.throws(() => apply(old, edit), BadEdit);
    assert.throws(() => apply(fromStock(old), readEdit(nativeMsgpack, msgpack)), BadEdit);
  });
}

/** An edit as a transition brings it. */
function readEdit(format, packed) {
  const ts = "c4080000000000000000";
  const head = bytes(`940193${"00"}${"00"}${ts}93${"00"}${"00"}${ts}9193${"02"}${"00"}`);
  const message = Buffer.concat([head, bytes(packed)]);
  const data = message.buffer.slice(message.byteOffset, message.byteOffset + message.byteLength);
  return format.decode(data).modifications[0].edit;
}

for (const { name, held = [], frames } of vectors("transitions")) {
  const readings = [
    ["MessagePack", stockMsgpack, ({ msgpack }) => frame(msgpack), same, same],
    ["MessagePack, natively", nativeMsgpack, ({ msgpack }) => frame(msgpack), fromStock, toStock],
    ["JSON", stockJson, ({ json }) => JSON.stringify(json), same, same],
    ["JSON, natively", nativeJson, ({ json }) => JSON.stringify(json), fromStock, toStock],
  ];
  for (const [notation, format, data, hold, show] of readings) {
    test(`transitions in ${notation}: ${name}`, () => {
      const replica = new Replica();
      held.forEach((_, queryId) => replica.offered(queryId, held.map(hold)));
      const journals = new Map();

      for (const expected of frames) {
        const transition = replica.receive(format.decode(data(expected)));

        const modifications = transition.modifications.map((modification) => withJournal(modification, journals));
        assert.deepStrictEqual(plain(show({ ...transition, modifications })), plain(expected.stock));
      }
    });
  }
}

/** A journal that a frame leaves out is the one of before. */
function withJournal(modification, journals) {
  if (modification.type === "QueryRemoved") return modification;
  const { queryId, journal = journals.get(queryId) } = modification;
  journals.set(queryId, journal);
  return { ...modification, journal };
}

const plain = (value) => JSON.parse(JSON.stringify(value));

for (const { name, msgpack, json, stock } of vectors("server-messages")) {
  test(`message of the server: ${name}`, () => {
    assert.deepStrictEqual(plain(stockMsgpack.decode(frame(msgpack))), stock);
    assert.deepStrictEqual(plain(stockJson.decode(JSON.stringify(json))), stock);
  });
}

for (const { name, json, msgpack } of vectors("client-messages")) {
  test(`message of the client: ${name}`, () => {
    const modifications = json.modifications?.map((change) =>
      change.held ? { ...change, held: change.held.map((digest) => new Uint8Array(Buffer.from(digest, "base64"))) } : change,
    );
    const message = { ...json, ...(modifications ? { modifications } : {}) };

    assert.deepStrictEqual(decode(stockMsgpack.encode(message)), decode(bytes(msgpack)));
    assert.deepStrictEqual(JSON.parse(stockJson.encode(message)), json);
  });
}
