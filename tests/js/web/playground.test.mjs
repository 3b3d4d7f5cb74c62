// The pure parts of the playground: what changed between two results, and arguments as they are typed.
import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const SOURCE = fileURLToPath(new URL("../../../clients/js/web/src/playground/", import.meta.url));

async function module(name) {
  const { outputFiles } = await build({ entryPoints: [SOURCE + name], bundle: true, format: "esm", write: false });
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString("base64")}`);
}
const { changesBetween, isSame, spelled } = await module("changes.ts");
const { brief, controlOf, firstDraft, parseArguments, shapeOf } = await module("values.ts");

const story = (before, after) => changesBetween(before, after).map(({ kind, path }) => `${kind} ${spelled(path)}`);
const row = (id, fields = {}) => ({ _id: id, ...fields });

const STORIES = [
  ["the same", { a: [1, 2n, null] }, { a: [1, 2n, null] }, []],
  ["a whole number of another type", 1, 1n, ["changed all"]],
  ["fields", { a: 1, b: 2 }, { b: 3, c: 4 }, ["removed a", "changed b", "added c"]],
  ["a row that came first", [row("a")], [row("b"), row("a")], ["added [0]"]],
  ["a row that went", [row("a"), row("b")], [row("b")], ["removed [0]"]],
  ["a row that moved to the top", [row("a"), row("b"), row("c")], [row("c"), row("a"), row("b")], ["moved [0]"]],
  ["a row that moved and changed", [row("a"), row("b")], [row("b", { x: 1 }), row("a")], ["moved [0]", "added [0].x"]],
  ["a value in the middle", [1, 2, 3], [1, 9, 2, 3], ["added [1]"]],
  ["bytes", new Uint8Array([1]).buffer, new Uint8Array([2]).buffer, ["changed all"]],
  ["a name that is no identifier", { "a b": 1 }, { "a b": 2 }, ['changed ["a b"]']],
];
for (const [name, before, after, told] of STORIES) {
  test(`changes: ${name}`, () => assert.deepEqual(story(before, after), told));
}

test("changes: nothing is told of what is the same, and what is told is what is there", () => {
  let state = 1;
  const below = (most) => (state = (state * 48271) % 2147483647) % most;
  const leaf = () => [null, true, below(3), BigInt(below(3)), "abc".slice(below(3)), new ArrayBuffer(below(3))][below(6)];
  const any = (depth) => {
    const size = below(4);
    if (depth === 0 || below(3) === 0) return leaf();
    if (below(2) === 0) return Object.fromEntries([..."abcd"].slice(0, size).map((key) => [key, any(depth - 1)]));
    const ids = [..."wxyz"].sort(() => below(3) - 1).slice(0, size);
    return below(2) === 0 ? ids.map((id) => row(id, { n: any(depth - 1) })) : ids.map(() => any(depth - 1));
  };
  const at = (value, path) => path.reduce((inside, step) => inside?.[step], value);
  for (let round = 0; round < 3000; round += 1) {
    const [before, after] = [any(3), any(3)];
    const changes = changesBetween(before, after);
    assert.equal(changes.length === 0, isSame(before, after));
    for (const { kind, path, before: old, after: young } of changes) {
      if (kind === "removed") assert.ok(old !== undefined);
      else assert.ok(isSame(at(after, path), young ?? at(after, path)));
    }
  }
});

const SCHEMA = {
  properties: {
    text: { type: "string" },
    count: { anyOf: [{ type: "number" }, { type: "null" }] },
    big: { type: "string", "x-wire": "int64" },
    flag: { type: "boolean" },
    shape: { $ref: "#/$defs/Shape" },
    either: { anyOf: [{ type: "number" }, { type: "string" }] },
  },
  required: ["text", "shape"],
  $defs: { Shape: { type: "object", properties: { corners: { type: "array" }, label: { type: "string" } }, required: ["corners"] } },
};
const kinds = Object.fromEntries(Object.entries(SCHEMA.properties).map(([name, schema]) => [name, controlOf(schema, SCHEMA).kind]));

test("arguments: each is typed into a field of its kind", () => {
  assert.deepEqual(kinds, { text: "text", count: "number", big: "text", flag: "choice", shape: "json", either: "json" });
  assert.deepEqual(JSON.parse(firstDraft(SCHEMA.properties.shape, SCHEMA)), { corners: [] });
});

test("arguments: an object with a name is told by its fields", () => {
  assert.equal(shapeOf(SCHEMA.properties.shape, SCHEMA), "{ corners: any; label?: any }");
  assert.equal(shapeOf(SCHEMA.properties.count, SCHEMA), null);
});

test("arguments: what is typed becomes values, what is left empty is left out, an empty text that is needed is one", () => {
  const typed = { text: "", count: "1e3", big: "9007199254740993", flag: "false", shape: '{"corners":[{"$integer":"AQAAAAAAAAA="}]}' };
  const { args } = parseArguments(SCHEMA, typed);
  assert.deepEqual(args, { text: "", count: 1000, big: 9007199254740993n, flag: false, shape: { corners: [1n] } });
});

test("arguments: mistakes are told by name, all at once", () => {
  const { mistakes } = parseArguments(SCHEMA, { count: "many", big: "1.5", shape: "{" });
  assert.deepEqual(Object.keys(mistakes), ["count", "big", "shape"]);
  assert.match(mistakes.shape, /^is no JSON/);
});

test("values: on one line, told apart by type, and no longer than they may be", () => {
  assert.equal(brief({ a: [1, 2n, null, -0, "x"], b: new ArrayBuffer(3) }), '{ a: [1, 2n, null, -0, "x"], b: bytes(3) }');
  assert.equal(brief("x".repeat(200)).length, 120);
});
