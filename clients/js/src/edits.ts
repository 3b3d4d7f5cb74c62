/**
 * Edits of the wire format: how the hub says what changed in a value. `apply(old, diff(old, new))` equals `new`.
 *
 * Nothing is written into a base: what an edit does not touch is shared with it, so that `===` tells what stayed.
 */

/** Set, edit of an object (fields, removed keys), of a list (operations), append to a text, splice of a text. */
export type Edit =
  | readonly [0, unknown]
  | readonly [1, { readonly [key: string]: Edit }, (readonly string[])?]
  | readonly [2, readonly ListOperation[]]
  | readonly [3, string]
  | readonly [4, number, number, string];

/** Edit at an index, remove so many, insert these, move from one place to another. Each counts on the list as it is by then. */
export type ListOperation =
  | readonly [0, number, Edit]
  | readonly [1, number, number]
  | readonly [2, number, readonly unknown[]]
  | readonly [3, number, number];

/** An edit that does not fit the value it is meant for: the two sides disagree about the base. */
export class BadEdit extends Error {
  override name = "BadEdit";
}

/** The edited value. Throws BadEdit and leaves the base as it was. */
export function apply(base: unknown, edit: Edit): unknown {
  switch (edit[0]) {
    case 0:
      return edit[1];
    case 1:
      return editObject(base, edit[1], edit[2] ?? []);
    case 2:
      return editList(base, edit[1]);
    case 3:
      return text(base) + edit[1];
    case 4:
      return splice(text(base), edit[1], edit[2], edit[3]);
    default:
      throw new BadEdit("unknown");
  }
}

function text(base: unknown): string {
  return typeof base === "string" ? base : mismatch("a text");
}

function splice(base: string, start: number, deleted: number, inserted: string): string {
  const end = start + deleted;
  check(start >= 0 && deleted >= 0 && end <= base.length, "beyond the text");
  for (const at of [start, end]) check(!((base.codePointAt(at - 1) ?? 0) > 0xffff), "inside of a character");
  return base.slice(0, start) + inserted + base.slice(end);
}

function editObject(base: unknown, edits: { readonly [key: string]: Edit }, removed: readonly string[]): unknown {
  if (base === null || typeof base !== "object" || Array.isArray(base)) mismatch("an object");
  const edited = { ...base } as Record<string, unknown>;
  for (const [key, edit] of Object.entries(edits)) edited[key] = apply(edited[key], edit);
  for (const key of removed) {
    check(key in edited, "no such key");
    delete edited[key];
  }
  return edited;
}

function editList(base: unknown, operations: readonly ListOperation[]): unknown {
  if (!Array.isArray(base)) mismatch("a list");
  const list: unknown[] = [...base];
  for (const operation of operations) {
    const [kind, index, argument] = operation;
    check(index >= 0 && index < list.length + (kind === 2 ? 1 : 0), "beyond the list");
    switch (kind) {
      case 0:
        list[index] = apply(list[index], argument);
        break;
      case 1:
        check(index + argument <= list.length, "beyond the list");
        list.splice(index, argument);
        break;
      case 2:
        list.splice(index, 0, ...argument);
        break;
      case 3:
        check(argument >= 0 && argument < list.length, "beyond the list");
        list.splice(argument, 0, ...list.splice(index, 1));
        break;
      default:
        throw new BadEdit("unknown");
    }
  }
  return list;
}

function check(holds: boolean, otherwise: string): void {
  if (!holds) throw new BadEdit(otherwise);
}

function mismatch(wanted: string): never {
  throw new BadEdit(`not ${wanted}`);
}
