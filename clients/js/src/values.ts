/**
 * What functions take and return, in JavaScript's types, and the two ways in which it is written down.
 *
 * `Value` is the native form (int64 a bigint, bytes an ArrayBuffer). `Json` is the stock form: the JSON that the convex client
 * reads and writes, with `{"$integer": …}`, `{"$bytes": …}` and `{"$float": …}` for what JSON lacks. Both forms have the same
 * lists, objects and strings, so an edit of one is an edit of the other once its leaves are converted.
 */

/** A value that a function of the hub can take or return. A field that is `undefined` counts as absent. */
export type Value = null | boolean | string | number | bigint | ArrayBuffer | readonly Value[] | { readonly [key: string]: Value | undefined };

/** The stock form of a value. */
export type Json = null | boolean | string | number | readonly Json[] | { readonly [key: string]: Json };

/** An int64 on its way into MessagePack, where a bigint is a plain integer. */
export class Int64 {
  constructor(readonly value: bigint) {}
}

const INT64_BYTES = 8;

export function base64(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

export function unbase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

/** A timestamp of the protocol (8 bytes, little-endian, in base64) as a number that can be compared. */
export function ticks(ts: string): bigint {
  return new DataView(unbase64(ts).buffer).getBigUint64(0, true);
}

function mapLeaves(value: unknown, leaf: (value: unknown) => unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => mapLeaves(item, leaf));
  if (value === null || typeof value !== "object" || value instanceof ArrayBuffer || ArrayBuffer.isView(value)) return leaf(value);
  const copy: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(value)) if (item !== undefined) copy[key] = mapLeaves(item, leaf);
  return copy;
}

function tagged(tag: string, write: (view: DataView) => void): unknown {
  const view = new DataView(new ArrayBuffer(INT64_BYTES));
  write(view);
  return { [tag]: base64(new Uint8Array(view.buffer)) };
}

function stockLeaf(value: unknown): unknown {
  if (typeof value === "bigint") return tagged("$integer", (view) => view.setBigInt64(0, value, true));
  if (typeof value === "number" && (!Number.isFinite(value) || Object.is(value, -0))) {
    return tagged("$float", (view) => view.setFloat64(0, value, true));
  }
  if (value instanceof ArrayBuffer) return { $bytes: base64(new Uint8Array(value)) };
  if (value instanceof Uint8Array) return { $bytes: base64(value) };
  return value;
}

/** The stock form of a native value, or of an edit whose leaves are native. */
export function toStock<T = Json>(value: unknown): T {
  return mapLeaves(value, stockLeaf) as T;
}

/** The native value of a stock form. */
export function fromStock(json: unknown): Value {
  if (Array.isArray(json)) return json.map(fromStock);
  if (json === null || typeof json !== "object") return json as Value;
  const entries = Object.entries(json);
  const [tag, text] = entries.length === 1 ? entries[0]! : ["", ""];
  if (tag.startsWith("$") && typeof text === "string") {
    const bytes = unbase64(text);
    if (tag === "$bytes") return bytes.buffer;
    if (tag === "$integer") return new DataView(bytes.buffer).getBigInt64(0, true);
    if (tag === "$float") return new DataView(bytes.buffer).getFloat64(0, true);
  }
  return Object.fromEntries(entries.map(([key, item]) => [key, fromStock(item)]));
}

/** What the MessagePack decoder gave, as native values: bytes become ArrayBuffers of their own, so that no frame is kept alive. */
export function adopt<T = Value>(decoded: unknown): T {
  return mapLeaves(decoded, (value) => (value instanceof Uint8Array ? value.slice().buffer : value)) as T;
}

/** A native value as the MessagePack encoder wants it: every number a float64, so that -0 stays, and int64 an extension. */
export function packable(value: unknown): unknown {
  return mapLeaves(value, (item) => {
    if (typeof item === "bigint") return new Int64(BigInt.asIntN(64, item) === item ? item : outOfRange(item));
    return item instanceof ArrayBuffer ? new Uint8Array(item) : item;
  });
}

function outOfRange(value: bigint): never {
  throw new RangeError(`${value} does not fit into an int64`);
}
