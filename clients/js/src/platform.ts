/** What is used of the platform's WebSocket, so that the one of `ws` will do where there is none. */

/** The constructor of a WebSocket, as browsers, workers, Node 22 and the `ws` package have it. */
export type WebSocketConstructor = new (url: string, protocols?: string[]) => RawSocket;

export interface RawSocket {
  binaryType: string;
  readonly protocol: string;
  readonly bufferedAmount: number;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
}

/** The one that was given, or the platform's. */
export function webSocketOf(given: unknown): WebSocketConstructor {
  const found = given ?? (globalThis as { WebSocket?: unknown }).WebSocket;
  if (typeof found !== "function") throw new Error("This platform has no WebSocket: pass one as `webSocket`, in Node that of `ws`.");
  return found as WebSocketConstructor;
}

/** Closed because what the hub said cannot be understood; everything comes anew on the next socket. */
export const RESYNC = 4001;

/** A timer that does not keep a Node process alive. */
export function unref<T>(timer: T): T {
  (timer as { unref?: () => void }).unref?.();
  return timer;
}
