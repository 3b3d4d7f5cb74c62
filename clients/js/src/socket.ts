/**
 * The WebSocket that the stock client holds: the real one, another after a failed negotiation, and a Link between.
 *
 * Only what is shared by browsers, Node and workers is used, and of `WebSocket` everything that the convex client touches.
 */

import { BadEdit } from "./edits.js";
import { BadFrame, type Format, type Leaves } from "./formats.js";
import { jsonFormat, stockFormat } from "./json.js";
import { Link } from "./link.js";
import type { ClientMessage } from "./messages.js";
import { msgpackFormat } from "./msgpack.js";
import type { Negotiation } from "./negotiation.js";
import { RESYNC, type RawSocket, type WebSocketConstructor } from "./platform.js";
import { LostFrame } from "./replica.js";
import { deploymentOf } from "./scope.js";
import type { Shelf } from "./shelf.js";
import { fromStock, toStock } from "./values.js";
import type { WarmQueries, WarmQuery } from "./warm.js";

/** What the sockets of one transport share. */
export interface SocketContext {
  readonly webSocket: WebSocketConstructor;
  readonly negotiation: Negotiation;
  readonly shelf: Shelf;
  readonly warm: WarmQueries;
  readonly sockets: Set<HubSocket>;
  /** Whether the client may speak, and be shown stored values, while the connection is being made. */
  opensEarly(): boolean;
}

interface SocketEvents {
  open: { type: "open" };
  message: { type: "message"; data: string };
  close: { type: "close"; code: number; reason: string; wasClean: boolean };
  error: { type: "error"; message?: string };
}
type Listener = (event: SocketEvents[keyof SocketEvents]) => void;

const [CONNECTING, OPEN, CLOSING, CLOSED] = [0, 1, 2, 3] as const;
const STOCK_VALUES: Leaves = { read: toStock, write: fromStock };
const STOCK_JSON: Leaves = { read: (value) => value, write: fromStock };

export class HubSocket {
  static readonly CONNECTING = CONNECTING;
  static readonly OPEN = OPEN;
  static readonly CLOSING = CLOSING;
  static readonly CLOSED = CLOSED;
  readonly CONNECTING = CONNECTING;
  readonly OPEN = OPEN;
  readonly CLOSING = CLOSING;
  readonly CLOSED = CLOSED;

  readonly url: string;
  readonly extensions = "";
  readonly protocol = "";
  binaryType = "blob";
  readyState: number = CONNECTING;
  onopen: ((event: SocketEvents["open"]) => void) | null = null;
  onmessage: ((event: SocketEvents["message"]) => void) | null = null;
  onclose: ((event: SocketEvents["close"]) => void) | null = null;
  onerror: ((event: SocketEvents["error"]) => void) | null = null;

  private raw!: RawSocket;
  private format: Format = stockFormat();
  private isReady = false;
  private readonly link: Link;
  /** What the client said before the connection was there. */
  private readonly outbox: ClientMessage[] = [];
  private readonly listeners = new Map<string, Set<Listener>>();

  constructor(
    private readonly context: SocketContext,
    url: string | URL,
  ) {
    this.url = String(url);
    this.link = new Link(context.shelf, context.warm, deploymentOf(this.url));
    context.sockets.add(this);
    this.connect(context.negotiation.offers());
    if (context.opensEarly()) queueMicrotask(() => this.open());
  }

  get bufferedAmount(): number {
    return this.raw.bufferedAmount;
  }

  send(data: string): void {
    if (this.readyState === CONNECTING) throw new Error("InvalidStateError: the socket is not open");
    if (this.readyState !== OPEN) return;
    this.transmit(this.link.send(JSON.parse(data) as ClientMessage));
    queueMicrotask(() => this.show());
  }

  close(code?: number, reason?: string): void {
    if (this.readyState >= CLOSING) return;
    this.readyState = CLOSING;
    this.raw.close(code, reason);
  }

  addEventListener(type: string, listener: Listener): void {
    this.listeners.set(type, (this.listeners.get(type) ?? new Set()).add(listener));
  }

  removeEventListener(type: string, listener: Listener): void {
    this.listeners.get(type)?.delete(listener);
  }

  // --- What the transport asks of it -----------------------------------------------------------------------------------

  heat(query: WarmQuery): void {
    this.transmit(this.link.heat(query));
  }

  cool(key: string): void {
    this.transmit(this.link.cool(key));
  }

  /** Stored values have arrived. */
  showStored(): void {
    this.link.showStored();
    this.show();
  }

  // --- The real socket -------------------------------------------------------------------------------------------------

  private connect(offers: string[]): void {
    const raw = offers.length > 0 ? new this.context.webSocket(this.url, offers) : new this.context.webSocket(this.url);
    this.raw = raw;
    raw.binaryType = "arraybuffer";
    let hasOpened = false;
    raw.onopen = () => {
      hasOpened = true;
      void this.opened(raw);
    };
    raw.onmessage = (event: { data: unknown }) => this.received(event.data);
    raw.onerror = (event: { message?: string }) => {
      if (hasOpened || offers.length === 0) this.emit("error", { type: "error", ...(event.message ? { message: event.message } : {}) });
    };
    raw.onclose = ({ code, reason, wasClean }: SocketEvents["close"]) => {
      const mayTryStock = !hasOpened && offers.length > 0 && this.readyState < CLOSING;
      if (mayTryStock && this.context.negotiation.shouldTryStock()) this.connect([]);
      else this.closed({ type: "close", code, reason: String(reason), wasClean });
    };
  }

  private async opened(raw: RawSocket): Promise<void> {
    this.format = formatOf(raw.protocol);
    this.context.negotiation.opened(raw.protocol);
    await this.context.shelf.ready();
    if (this.raw !== raw || this.readyState >= CLOSING) return;
    this.isReady = true;
    this.transmit(this.outbox.splice(0));
    this.open();
  }

  private open(): void {
    if (this.readyState !== CONNECTING) return;
    this.readyState = OPEN;
    this.emit("open", { type: "open" });
  }

  private transmit(messages: ClientMessage[]): void {
    if (!this.isReady) {
      this.outbox.push(...messages);
      return;
    }
    for (const message of messages) {
      const isNative = this.format.protocol !== "";
      if (isNative && message.type === "Event") continue; // telemetry of the stock client, for its own servers
      this.raw.send(this.format.encode(isNative ? this.link.offer(message) : message));
    }
  }

  private received(data: unknown): void {
    let text: string | undefined;
    try {
      const message = this.format.decode(data);
      text = message && JSON.stringify(this.link.receive(message));
    } catch (error) {
      this.resync(error);
      return;
    }
    if (text !== undefined) this.emit("message", { type: "message", data: text });
    this.show();
  }

  private show(): void {
    if (this.readyState !== OPEN) return;
    const transition = this.link.shows();
    if (transition) this.emit("message", { type: "message", data: JSON.stringify(transition) });
  }

  /** What was received cannot be understood, or something before it was lost: only a new socket can tell the truth. */
  private resync(error: unknown): void {
    const reason = error instanceof LostFrame || error instanceof BadEdit ? error.name : BadFrame.name;
    if (reason === BadFrame.name) this.context.negotiation.distrust();
    this.raw.onmessage = this.raw.onclose = this.raw.onerror = () => {}; // nobody listens, and an error of `ws` must be heard
    this.raw.close(RESYNC, reason);
    this.readyState = CLOSING;
    queueMicrotask(() => this.closed({ type: "close", code: RESYNC, reason, wasClean: false }));
  }

  private closed(event: SocketEvents["close"]): void {
    this.readyState = CLOSED;
    this.isReady = false;
    this.context.sockets.delete(this);
    this.link.close();
    this.emit("close", event);
  }

  private emit<T extends keyof SocketEvents>(type: T, event: SocketEvents[T]): void {
    (this[`on${type}`] as ((event: SocketEvents[T]) => void) | null)?.(event);
    for (const listener of this.listeners.get(type) ?? []) listener(event);
  }
}

function formatOf(protocol: string): Format {
  if (protocol === "hub.v1.msgpack") return msgpackFormat(STOCK_VALUES);
  return protocol === "hub.v1.json" ? jsonFormat(STOCK_JSON) : stockFormat();
}
