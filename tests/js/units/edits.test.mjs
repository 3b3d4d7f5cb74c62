import assert from "node:assert/strict";
import { test } from "node:test";

import { apply, BadEdit } from "../../../clients/js/dist/edits.js";

const base = { list: [{ _id: "a", n: 1 }, { _id: "b", n: 2 }, { _id: "c", n: 3 }], text: "a😀b", same: { x: [1] } };

test("what an edit does not touch is shared with the base, and the base stays as it was", () => {
  const before = structuredClone(base);

  const edited = apply(base, [1, { list: [2, [[0, 1, [1, { n: [0, 9] }]]]], text: [3, "!"] }]);

  assert.deepEqual(edited, { list: [base.list[0], { _id: "b", n: 9 }, base.list[2]], text: "a😀b!", same: { x: [1] } });
  assert.equal(edited.same, base.same);
  assert.equal(edited.list[0], base.list[0]);
  assert.deepEqual(base, before);
});

test("operations on a list count on the list as it is by then", () => {
  const [a, b, c] = base.list;

  const edited = apply(base.list, [2, [[3, 2, 0], [1, 1, 1], [2, 2, ["new"]]]]);

  assert.deepEqual(edited, [c, b, "new"]);
  assert.deepEqual(apply([], [2, [[2, 0, [a]]]]), [a]);
});

test("a splice counts in UTF-16 code units", () => {
  assert.equal(apply("a😀b", [4, 1, 2, "é"]), "aéb");
  assert.equal(apply("a😀b", [4, 4, 0, "🎉"]), "a😀b🎉");
});

test("fields come and go", () => {
  assert.deepEqual(apply({ a: 1, b: 2 }, [1, { c: [0, 3] }, ["a"]]), { b: 2, c: 3 });
});

for (const [name, value, edit] of [
  ["an append to a number", 1, [3, "x"]],
  ["fields of a list", [], [1, {}]],
  ["fields of nothing", null, [1, {}]],
  ["operations on a text", "abc", [2, []]],
  ["an index beyond the list", [1], [2, [[0, 1, [0, 2]]]]],
  ["an insertion beyond the list", [1], [2, [[2, 2, [0]]]]],
  ["more removed than is there", [1], [2, [[1, 0, 2]]]],
  ["a move beyond the list", [1, 2], [2, [[3, 0, 2]]]],
  ["a splice beyond the text", "abc", [4, 2, 2, ""]],
  ["a removed key that is not there", {}, [1, {}, ["a"]]],
  ["an unknown kind", {}, [9]],
]) {
  test(`${name} is refused`, () => {
    assert.throws(() => apply(value, edit), BadEdit);
  });
}
