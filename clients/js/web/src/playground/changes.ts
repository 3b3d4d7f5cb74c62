// What changed between two results: for eyes, so the shortest story wins over the shortest patch.
import type { Value } from "convex/values";

export type Path = readonly (string | number)[];

export interface Change {
  kind: "added" | "removed" | "changed" | "moved";
  /** Into the newer value; of what was removed, into the older one. */
  path: Path;
  before?: Value;
  after?: Value;
}

type Row = { _id: string } & Record<string, Value>;

export function changesBetween(before: Value, after: Value, path: Path = []): Change[] {
  if (isSame(before, after)) return [];
  if (Array.isArray(before) && Array.isArray(after)) {
    return areRows(before) && areRows(after) ? ofRows(before, after, path) : ofItems(before, after, path);
  }
  if (isObject(before) && isObject(after)) return ofFields(before, after, path);
  return [{ kind: "changed", path, before, after }];
}

function ofFields(before: Record<string, Value>, after: Record<string, Value>, path: Path): Change[] {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].flatMap((key): Change[] => {
    const [old, young] = [before[key], after[key]];
    if (old === undefined) return young === undefined ? [] : [{ kind: "added", path: [...path, key], after: young }];
    if (young === undefined) return [{ kind: "removed", path: [...path, key], before: old }];
    return changesBetween(old, young, [...path, key]);
  });
}

/** Rows are told apart by their ids, wherever they stand. */
function ofRows(before: Row[], after: Row[], path: Path): Change[] {
  const placesBefore = new Map(before.map((row, at) => [row._id, at]));
  const kept = new Set(after.map((row) => row._id));
  const removed = before.flatMap((row, at): Change[] => (kept.has(row._id) ? [] : [{ kind: "removed", path: [...path, at], before: row }]));
  const common = before.filter((row) => kept.has(row._id)).map((row) => row._id);
  let next = 0;
  const others = after.flatMap((row, at): Change[] => {
    const place = placesBefore.get(row._id);
    const old = place === undefined ? undefined : before[place];
    if (old === undefined) return [{ kind: "added", path: [...path, at], after: row }];
    const isInTurn = common[next] === row._id;
    if (isInTurn) next += 1;
    else common.splice(common.indexOf(row._id), 1);
    const changes = changesBetween(old, row, [...path, at]);
    return isInTurn ? changes : [{ kind: "moved", path: [...path, at], after: row }, ...changes];
  });
  return [...removed, ...others];
}

/** What both begin and end with is the same; what is between them changed place by place. */
function ofItems(before: Value[], after: Value[], path: Path): Change[] {
  let start = 0;
  while (start < before.length && start < after.length && isSame(before[start], after[start])) start += 1;
  let end = 0;
  const most = Math.min(before.length, after.length) - start;
  while (end < most && isSame(before[before.length - 1 - end], after[after.length - 1 - end])) end += 1;
  const changes: Change[] = [];
  const length = Math.max(before.length, after.length) - end;
  for (let at = start; at < length; at += 1) {
    const old = at < before.length - end ? before[at] : undefined;
    const young = at < after.length - end ? after[at] : undefined;
    if (old !== undefined && young !== undefined) changes.push(...changesBetween(old, young, [...path, at]));
    else if (young !== undefined) changes.push({ kind: "added", path: [...path, at], after: young });
    else if (old !== undefined) changes.push({ kind: "removed", path: [...path, at], before: old });
  }
  return changes;
}

export function isSame(one: Value | undefined, other: Value | undefined): boolean {
  if (Object.is(one, other)) return true;
  if (one instanceof ArrayBuffer && other instanceof ArrayBuffer) {
    const [a, b] = [new Uint8Array(one), new Uint8Array(other)];
    return a.length === b.length && a.every((byte, at) => byte === b[at]);
  }
  if (Array.isArray(one) && Array.isArray(other)) return one.length === other.length && one.every((item, at) => isSame(item, other[at]));
  if (isObject(one) && isObject(other)) {
    const keys = Object.keys(one);
    return keys.length === Object.keys(other).length && keys.every((key) => key in other && isSame(one[key], other[key]));
  }
  return false;
}

export function isObject(value: Value | undefined): value is Record<string, Value> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof ArrayBuffer);
}

function areRows(values: Value[]): values is Row[] {
  const ids = values.map((value) => (isObject(value) ? value["_id"] : undefined));
  return ids.every((id) => typeof id === "string") && new Set(ids).size === ids.length;
}

/** `[2].title`, as it would be written in JavaScript. */
export function spelled(path: Path): string {
  const text = path.map((step) => (typeof step === "number" ? `[${step}]` : /^[A-Za-z_$][\w$]*$/.test(step) ? `.${step}` : `["${step}"]`));
  return text.join("").replace(/^\./, "") || "all";
}
