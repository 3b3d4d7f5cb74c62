/** Frames in MessagePack, and the canonical MessagePack of a value, over which two sides compare digests. */

import { Decoder, Encoder, ExtensionCodec } from "@msgpack/msgpack";

import { BadFrame, type Format, type Leaves } from "./formats.js";
import type { ServerMessage } from "./messages.js";
import { readTransition } from "./positional.js";
import { base64, Int64, packable, unbase64 } from "./values.js";

const INT64 = 1; // the extension's type
const INT64_BYTES = 8;

const extensions = new ExtensionCodec();
extensions.register({
  type: INT64,
  encode: (object) => {
    if (!(object instanceof Int64)) return null;
    const view = new DataView(new ArrayBuffer(INT64_BYTES));
    view.setBigInt64(0, object.value);
    return new Uint8Array(view.buffer);
  },
  decode: (data) => new DataView(data.buffer, data.byteOffset, data.byteLength).getBigInt64(0),
});

/** Numbers are float64 and bigints plain integers: so values keep -0, and the ids of a message are integers. */
const encoder = new Encoder({
  extensionCodec: extensions,
  useBigInt64: true,
  forceIntegerToFloat: true,
  ignoreUndefined: true,
  sortKeys: true,
});
const decoder = new Decoder({ extensionCodec: extensions });

/** The one encoding that equal values have. */
export function canonical(value: unknown): Uint8Array<ArrayBuffer> {
  return encoder.encode(packable(value));
}

/** Messages as binary frames. `leaves` says how values are held in memory. */
export function msgpackFormat(leaves: Leaves): Format {
  return {
    protocol: "hub.v1.msgpack",
    encode: (message) => encoder.encode(pack(message, leaves)),
    decode: (data) => {
      if (!(data instanceof ArrayBuffer)) throw new BadFrame("a text frame, where binary ones were agreed");
      const frame = decoder.decode(data);
      return Array.isArray(frame) ? readTransition(frame, readTs, leaves.read) : unpack(frame, leaves);
    },
  };
}

function pack(message: object, leaves: Leaves): unknown {
  const fields = Object.entries(message).map(([name, value]) => [name, packField(name, value, leaves)]);
  return Object.fromEntries(fields);
}

function packField(name: string, value: unknown, leaves: Leaves): unknown {
  if (name === "args" || name === "event") return packable(leaves.write(value));
  if (name === "maxObservedTimestamp" && typeof value === "string") return unbase64(value);
  if (name === "modifications") return (value as object[]).map((modification) => pack(modification, leaves));
  return typeof value === "number" && Number.isInteger(value) ? BigInt(value) : value;
}

function unpack(frame: unknown, leaves: Leaves): ServerMessage {
  if (frame === null || typeof frame !== "object" || !("type" in frame)) throw new BadFrame("a frame that is no message");
  const message = { ...frame } as Record<string, unknown>;
  if (message.ts instanceof Uint8Array) message.ts = base64(message.ts);
  for (const field of ["result", "errorData"]) if (field in message) message[field] = leaves.read(message[field]);
  return message as unknown as ServerMessage;
}

function readTs(raw: unknown): string {
  if (!(raw instanceof Uint8Array)) throw new BadFrame("a timestamp that is no bytes");
  return base64(raw);
}

