/** Frames as JSON text: the stock protocol, and `hub.v1.json`, which is the native format made readable. */

import { BadFrame, type Format, type Leaves } from "./formats.js";
import type { AddQuery, ModifyQuerySet, ServerMessage } from "./messages.js";
import { readTransition } from "./positional.js";
import { base64, toStock } from "./values.js";

/** The native format as text, for people who watch it in a browser's network panel. */
export function jsonFormat(leaves: Leaves): Format {
  return {
    protocol: "hub.v1.json",
    encode: (message) =>
      JSON.stringify(message, (name, value: unknown) => {
        if (name === "args" && Array.isArray(value)) return toStock(leaves.write(value));
        return value instanceof Uint8Array ? base64(value) : value;
      }),
    decode: (data) => {
      const frame = parse(data);
      if (Array.isArray(frame)) return readTransition(frame, String, leaves.read);
      const message = { ...(frame as Record<string, unknown>) };
      for (const field of ["result", "errorData"]) if (field in message) message[field] = leaves.read(message[field]);
      return message as unknown as ServerMessage;
    },
  };
}

/** The stock protocol; values stay in stock form. A format for each socket: it puts the chunks of a transition together. */
export function stockFormat(): Format {
  let chunks: string[] = [];
  return {
    protocol: "",
    encode: (message) => JSON.stringify(message.type === "ModifyQuerySet" ? withoutHeld(message) : message),
    decode: (data) => {
      const message = parse(data) as { type: string; chunk?: string; totalParts?: number };
      if (message.type !== "TransitionChunk") return message as unknown as ServerMessage;
      chunks.push(message.chunk ?? "");
      if (chunks.length !== message.totalParts) return undefined;
      const text = chunks.join("");
      chunks = [];
      return JSON.parse(text) as ServerMessage;
    },
  };
}

function withoutHeld(message: ModifyQuerySet): ModifyQuerySet {
  const strip = ({ held: _, ...add }: AddQuery): AddQuery => add;
  return { ...message, modifications: message.modifications.map((change) => (change.type === "Add" ? strip(change) : change)) };
}

function parse(data: unknown): unknown {
  if (typeof data !== "string") throw new BadFrame("a binary frame, where text was agreed");
  return JSON.parse(data);
}
