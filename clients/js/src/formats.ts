/** How messages are written on a socket: one object for each wire format, chosen by the subprotocol that the server chose. */

import type { ClientMessage, ServerMessage } from "./messages.js";

/** A wire format. `encode` and `decode` are each other's counterparts on the two sides. */
export interface Format {
  /** The WebSocket subprotocol that means it; empty: none was chosen, so the server speaks the stock protocol. */
  readonly protocol: string;
  encode(message: ClientMessage): string | Uint8Array<ArrayBuffer>;
  /** The message of a frame; undefined when more frames are needed to tell. */
  decode(data: unknown): ServerMessage | undefined;
}

/** How the leaves of values are held in memory: `read` takes them from the wire, `write` gives native values back. */
export interface Leaves {
  read(decoded: unknown): unknown;
  write(value: unknown): unknown;
}

/** A frame that is no message of the format. */
export class BadFrame extends Error {
  override name = "BadFrame";
}
