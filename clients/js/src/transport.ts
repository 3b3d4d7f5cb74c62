/** `hubTransport`: the hub's own wire format under an unmodified convex client, as its `webSocketConstructor`. */

import type { ValueCache } from "./cache.js";
import { pathOf, queryKey, type Args, type FunctionReference } from "./names.js";
import { Negotiation } from "./negotiation.js";
import { unref, webSocketOf } from "./platform.js";
import { Shelf } from "./shelf.js";
import { HubSocket, type SocketContext } from "./socket.js";
import { fromStock, toStock } from "./values.js";
import { WarmQueries } from "./warm.js";

/** Options of {@link hubTransport}. All have defaults. */
export interface TransportOptions {
  /** The constructor of the real sockets. Default: the platform's `WebSocket`; Node before 22 has none: give the one of `ws`. */
  readonly webSocket?: unknown;
  /** What to offer to the server: `msgpack`, `json` (to be read in a network panel), or `stock`, the plain protocol. */
  readonly format?: "msgpack" | "json" | "stock";
  /** Where values outlive the page: `sessionCache()` or `indexedDbCache()`. Default: nowhere. */
  readonly cache?: ValueCache;
  /** How much is kept of queries that are not subscribed any more. Default 100 values, 8 MiB. */
  readonly kept?: { readonly entries?: number; readonly bytes?: number };
}

/** How long to keep a query warm. */
export interface PrefetchOptions {
  /** Milliseconds from now, even if nobody subscribes to it. Default 30,000. */
  readonly ttlMs?: number;
}

/** What {@link hubTransport} returns: the `webSocketConstructor` of one convex client, and what it can do besides. */
export interface HubTransport {
  new (url: string | URL, protocols?: string | string[]): WebSocket;
  readonly prototype: WebSocket;
  readonly CONNECTING: 0;
  readonly OPEN: 1;
  readonly CLOSING: 2;
  readonly CLOSED: 3;

  /**
   * Subscribes to a query for a while, so that a component that uses it soon shows it at once. Calling it again prolongs it.
   * Returns a function that ends it earlier.
   */
  prefetch<A extends object>(query: FunctionReference<"query", A>, args: NoInfer<A>, options?: PrefetchOptions): () => void;
  prefetch(query: string, args?: Args, options?: PrefetchOptions): () => void;

  /** Forgets all values that are kept or stored for this deployment, for an application that signs out by leaving the page. */
  erase(): Promise<void>;

  /** The subprotocol in use: `hub.v1.msgpack`, `hub.v1.json`, empty for the stock protocol, undefined before the first connection. */
  readonly wireFormat: string | undefined;
}

const DEFAULT_TTL_MS = 30_000;
/**
 * The transport for one `ConvexReactClient` or `ConvexClient`:
 *
 *     new ConvexReactClient(url, { webSocketConstructor: hubTransport() })
 *
 * It offers the native format and falls back to the stock protocol against a server without it.
 */
export function hubTransport(options: TransportOptions = {}): HubTransport {
  const { format = "msgpack", cache, kept } = options;
  if (cache) cache.holdsStockForm = true; // the convex client reads text: values are held as they are to be written
  const shelf = new Shelf(kept, cache, fromStock);
  const warm = new WarmQueries();
  const negotiation = new Negotiation(format === "stock" ? "" : `hub.v1.${format}`);
  const sockets = new Set<HubSocket>();
  const context: SocketContext = {
    webSocket: webSocketOf(options.webSocket),
    negotiation,
    shelf,
    warm,
    sockets,
    opensEarly: () => cache !== undefined && negotiation.protocol === undefined && !hasTried(),
  };
  let attempts = 0;
  const hasTried = (): boolean => attempts++ > 0;
  shelf.onLoaded = () => sockets.forEach((socket) => socket.showStored());

  const cool = (key: string): void => {
    warm.cool(key);
    sockets.forEach((socket) => socket.cool(key));
  };

  const prefetch = (name: string | object, args: Args = {}, { ttlMs = DEFAULT_TTL_MS }: PrefetchOptions = {}): (() => void) => {
    const path = pathOf(name);
    const stockArgs = toStock(args);
    const query = { key: queryKey(path, stockArgs), path, args: stockArgs, until: Date.now() + ttlMs };
    warm.heat(query);
    sockets.forEach((socket) => socket.heat(query));
    unref(setTimeout(() => warm.has(query.key) || cool(query.key), ttlMs + 1));
    return () => cool(query.key);
  };

  class Transport extends HubSocket {
    static readonly prefetch = prefetch;
    static readonly erase = (): Promise<void> => shelf.erase();
    static get wireFormat(): string | undefined {
      return negotiation.protocol;
    }
    constructor(url: string | URL) {
      super(context, url);
    }
  }
  return Transport as unknown as HubTransport;
}
