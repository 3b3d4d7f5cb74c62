import assert from "node:assert/strict";
import { test } from "node:test";

import { KeptValues } from "../../../clients/js/dist/kept.js";
import { canonical } from "../../../clients/js/dist/msgpack.js";

test("the oldest values go first when there are too many", async () => {
  const kept = new KeptValues(canonical, { entries: 2, bytes: 1000 });
  for (const key of ["a", "b", "a2", "b"]) kept.put(key, { key });
  kept.put("c", "c");
  await kept.settled();

  assert.deepEqual(["a", "b", "a2", "c"].map((key) => kept.get(key) !== undefined), [false, true, false, true]);
});

test("large values make room by their size", async () => {
  const kept = new KeptValues(canonical, { entries: 100, bytes: 1000 });
  for (let number = 0; number < 10; number++) kept.put(`q${number}`, "x".repeat(300));
  await kept.settled();

  const left = Array.from({ length: 10 }, (_, number) => kept.get(`q${number}`) !== undefined);
  assert.deepEqual(left, [...Array(7).fill(false), true, true, true]);
});

test("what was cleared is not offered by a digest that comes late", async () => {
  const kept = new KeptValues(canonical, { entries: 2, bytes: 1000 });
  kept.put("a", 1);
  kept.clear();
  await kept.settled();

  assert.deepEqual(kept.offers("a"), { digests: [], values: [] });
});

test("a value that cannot be digested is kept, and keeps nothing from going on", async () => {
  const kept = new KeptValues(
    () => {
      throw new TypeError("stored by something else");
    },
    { entries: 2, bytes: 100 },
  );
  kept.put("q", { $integer: "broken" });

  await kept.settled();

  assert.deepEqual(kept.offers("q"), { digests: [], values: [] });
});
