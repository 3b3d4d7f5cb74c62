/** `HubClient`: live queries and mutations of a hub, without the convex package. */

import { backoffMs } from "./backoff.js";
import type { ValueCache } from "./cache.js";
import { fetchToken, refreshAfterMs, type Credentials, type Token } from "./credentials.js";
import { HubError } from "./errors.js";
import type { AuthError, ClientMessage, Transition } from "./messages.js";
import { canonical, msgpackFormat } from "./msgpack.js";
import { pathOf, type Args, type FunctionReference } from "./names.js";
import { RESYNC, unref, webSocketOf, type RawSocket } from "./platform.js";
import { deploymentOf, scopeOf } from "./scope.js";
import { Session, type LiveQuery, type Result } from "./session.js";
import { Shelf } from "./shelf.js";
import { adopt, base64, type Value } from "./values.js";

/** Options of {@link HubClient}. All have defaults. */
export interface HubClientOptions {
  /** Who the client speaks for. Default: nobody. */
  readonly auth?: Credentials | null;
  /** Where values outlive the page: `sessionCache()` or `indexedDbCache()`. Default: nowhere. */
  readonly cache?: ValueCache;
  /** The constructor of sockets. Default: the platform's `WebSocket`; Node before 22 has none: give the one of `ws`. */
  readonly webSocket?: unknown;
  /** How much is kept of queries that are not subscribed any more. Default 100 values, 8 MiB. */
  readonly kept?: { readonly entries?: number; readonly bytes?: number };
}

/** How the client stands with the hub. */
export interface ConnectionState {
  /** `waiting`: the connection broke, and the next attempt is a while off. */
  readonly status: "connecting" | "connected" | "waiting" | "closed";
  readonly hasEverConnected: boolean;
  /** Attempts that failed since the last success. */
  readonly failures: number;
  /** Mutations that were made and are not settled. */
  readonly pendingMutations: number;
  /** Whether the hub knows the caller. `refused`: it did not accept the token, and the client goes on as nobody. */
  readonly auth: "none" | "pending" | "confirmed" | "refused";
}

/** What a subscriber is told besides the value. */
export interface ValueInfo {
  /** The value was stored or kept, and is shown until the hub has answered. */
  readonly isStale: boolean;
}

type State = Omit<ConnectionState, "pendingMutations">;
type OnValue<T> = (value: T, info: ValueInfo) => void;
type OnError = (error: HubError) => void;
type Query<A, R> = FunctionReference<"query", A, R>;

const CLOSED = "ClientClosed";
const INACTIVITY_MS = 60_000;
const TOKENS_TO_TRY = 3;
const PREFETCH_MS = 30_000;
const FORMAT = msgpackFormat({ read: adopt, write: (value) => value });

/**
 * A client of one hub:
 *
 *     const hub = new HubClient("https://hub.example.com", { auth: () => fetchMyToken() });
 *     const stop = hub.subscribe("messages:list", { chatId }, (messages) => render(messages));
 *     await hub.mutation("messages:send", { chatId, userMessage: { content: "Hello" } });
 *
 * It connects at once, and again whenever the connection breaks. Subscribers keep what they were told meanwhile; mutations wait,
 * and each is applied once. Values are shared: treat them as read-only. What did not change is the same object as before.
 */
export class HubClient {
  readonly #url: string;
  readonly #session = new Session();
  readonly #shelf: Shelf;
  readonly #observers = new Set<(state: ConnectionState) => void>();
  readonly #socketClass;
  #credentials: Credentials | null;
  #socket: RawSocket | undefined;
  #isOpen = false;
  #state: State = { status: "connecting", hasEverConnected: false, failures: 0, auth: "none" };
  #refusals = 0;
  #mustRefresh = false;
  #lastCloseReason = "InitialConnect";
  #timers: Record<"inactivity" | "reconnect" | "refresh", ReturnType<typeof setTimeout> | undefined>;
  readonly #onOnline = (): void => {
    if (this.#state.status === "waiting") this.#connect();
  };

  /** `address` as in `https://hub.example.com`. */
  constructor(address: string, options: HubClientOptions = {}) {
    this.#url = `${address.replace(/^http/, "ws").replace(/\/+$/, "")}/api/sync`;
    this.#socketClass = webSocketOf(options.webSocket);
    this.#credentials = options.auth ?? null;
    this.#shelf = new Shelf(options.kept, options.cache);
    this.#shelf.onLoaded = () => this.#session.queries.forEach((query) => this.#showStale(query));
    this.#timers = { inactivity: undefined, reconnect: undefined, refresh: undefined };
    globalThis.addEventListener?.("online", this.#onOnline);
    this.#connect();
  }

  // --- What applications call ------------------------------------------------------------------------------------------

  /**
   * Calls `onValue` with the query's result and again whenever it changes, until the function that is returned is called.
   * An error is a result too: the subscription stays, and may have a value again.
   */
  subscribe<A extends object, R>(query: Query<A, R>, args: NoInfer<A>, onValue: OnValue<R>, onError?: OnError): () => void;
  subscribe(query: string, args: Args, onValue: OnValue<Value>, onError?: OnError): () => void;
  subscribe(query: string | object, args: object, onValue: OnValue<never>, onError: OnError = (error) => console.error(error)): () => void {
    this.#assertOpen();
    return this.#watch(query, args, (result) => {
      if (!("error" in result)) onValue(result.value as never, result);
      else if (result.error.code !== CLOSED) onError(result.error);
    });
  }

  /** The query's result now, as the hub has it. */
  query<A extends object, R>(query: Query<A, R>, args: NoInfer<A>): Promise<R>;
  query(query: string, args?: Args): Promise<Value>;
  async query(query: string | object, args: object = {}): Promise<unknown> {
    this.#assertOpen();
    return new Promise((resolve, reject) => {
      const stop = this.#watch(query, args, (result) => {
        if ("error" in result) reject(result.error);
        else if (!result.isStale) resolve(result.value);
        else return;
        queueMicrotask(stop);
      });
    });
  }

  /**
   * Runs a mutation once, whatever happens to the connection, and resolves with its result when its effects are in every
   * subscription. Mutations of one client run in the order in which they were made.
   */
  mutation<A extends object, R>(mutation: FunctionReference<"mutation", A, R>, args: NoInfer<A>): Promise<R>;
  mutation(mutation: string, args?: Args): Promise<Value>;
  async mutation(mutation: string | object, args: object = {}): Promise<unknown> {
    this.#assertOpen();
    const path = pathOf(mutation);
    return new Promise((resolve, reject) => {
      const requestId = this.#session.mutate(path, structuredClone(args), this.#shelf.scope, resolve, reject);
      this.#send(this.#session.call(requestId));
      this.#report();
    }).finally(() => this.#report());
  }

  /** Subscribes to a query for a while (30 s unless said), so that a subscription that comes soon has its value at once. */
  prefetch<A extends object>(query: Query<A, unknown>, args: NoInfer<A>, options?: { readonly ttlMs?: number }): () => void;
  prefetch(query: string, args?: Args, options?: { readonly ttlMs?: number }): () => void;
  prefetch(query: string | object, args: object = {}, { ttlMs = PREFETCH_MS }: { readonly ttlMs?: number } = {}): () => void {
    this.#assertOpen();
    const stop = this.#watch(query, args, () => {});
    unref(setTimeout(stop, ttlMs));
    return stop;
  }

  /**
   * Speaks for somebody else from now on, null for nobody. What is stored of the one before is erased, and mutations of theirs that
   * are under way are rejected (`CallerChanged`): whether they were applied is then not known.
   */
  setAuth(credentials: Credentials | null): void {
    this.#assertOpen();
    this.#credentials = credentials;
    this.#refusals = 0;
    this.#mustRefresh = false;
    this.#dropSocket("AuthChanged");
    this.#shelf.leave();
    for (const query of this.#session.queries.values()) delete query.result;
    this.#connect();
  }

  connectionState(): ConnectionState {
    return { ...this.#state, pendingMutations: this.#session.mutations.size };
  }

  /** Calls `observer` whenever the state changes, until the function that is returned is called. */
  onConnectionState(observer: (state: ConnectionState) => void): () => void {
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }

  /** Forgets all values that are kept or stored for this hub, for an application that signs out by leaving the page. */
  async erase(): Promise<void> {
    await this.#shelf.erase();
  }

  /** Ends everything. Mutations that are not settled are rejected: whether they were applied is not known. */
  close(): void {
    this.#end(new HubError("the client was closed", CLOSED));
  }

  // --- Subscriptions ---------------------------------------------------------------------------------------------------

  #watch(name: string | object, args: object, watcher: (result: Result) => void): () => void {
    const copy = structuredClone(args) as Args;
    const path = pathOf(name);
    const [query, message] = this.#session.watch(`${path} ${base64(canonical(copy))}`, path, copy, this.#offers);
    const told = (result: Result): void => void (query.watchers.has(told) && watcher(result));
    query.watchers.add(told);
    if (message) {
      this.#send(message);
      this.#showStale(query);
    } else if (query.result) {
      const { result } = query;
      queueMicrotask(() => query.result === result && told(result));
    }
    return () => {
      if (!query.watchers.delete(told) || query.watchers.size > 0 || this.#session.queries.get(query.key) !== query) return;
      this.#keep(query);
      this.#send(this.#session.unwatch(query));
    };
  }

  readonly #offers = (key: string): ReturnType<Shelf["kept"]["offers"]> => this.#shelf.kept.offers(key);

  #showStale(query: LiveQuery): void {
    const value = this.#shelf.stale(query.key);
    if (query.result || value === undefined) return;
    const result = (query.result = { value, isStale: true });
    queueMicrotask(() => query.result === result && tell([query]));
  }

  #keep(query: LiveQuery): void {
    const value = this.#session.value(query);
    if (value !== undefined) this.#shelf.kept.put(query.key, value);
  }

  // --- The connection --------------------------------------------------------------------------------------------------

  #connect(): void {
    clearTimeout(this.#timers.reconnect);
    this.#change({ status: "connecting" });
    const socket = new this.#socketClass(this.#url, [FORMAT.protocol]);
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    const isThis = (): boolean => this.#socket === socket;
    const opened = new Promise<void>((resolve) => (socket.onopen = () => resolve()));
    socket.onmessage = ({ data }: { data: unknown }) => isThis() && this.#received(data);
    socket.onclose = ({ code, reason }: { code: number; reason: string }) => {
      if (isThis()) this.#lost(String(reason) || `closed with code ${code}`);
    };
    socket.onerror = () => {}; // the close that follows says all there is
    this.#listen();
    void this.#begin(opened, isThis).catch((error: unknown) => {
      if (isThis()) this.#lost(`BadToken: ${String(error)}`);
    });
  }

  /** Says everything that is to be said first, once there are a token and a socket to say it with. */
  async #begin(opened: Promise<void>, isCurrent: () => boolean): Promise<void> {
    const isRefused = this.#refusals >= TOKENS_TO_TRY;
    const token = isRefused ? undefined : await fetchToken(this.#credentials, this.#mustRefresh);
    if (!isCurrent()) return;
    this.#change({ auth: isRefused ? "refused" : token ? "pending" : "none" });
    const deployment = deploymentOf(this.#url);
    const scope = scopeOf(deployment, token ? { tokenType: token.type, value: token.value } : { tokenType: "None" });
    this.#shelf.enter(deployment, scope);
    this.#session.speaksFor(scope);
    await opened;
    await this.#shelf.ready();
    if (!isCurrent()) return;
    this.#isOpen = true;
    for (const message of this.#session.open(this.#lastCloseReason, token, this.#offers)) this.#send(message);
    this.#renewLater(token);
  }

  /** Before the token expires, says a fresh one; somebody else's means to begin anew. */
  #renewLater(token: Token | undefined): void {
    clearTimeout(this.#timers.refresh);
    const afterMs = token && typeof this.#credentials === "function" ? refreshAfterMs(token.value) : undefined;
    if (afterMs === undefined) return;
    const socket = this.#socket;
    const renew = async (): Promise<void> => {
      const fresh = await fetchToken(this.#credentials, true);
      if (this.#socket !== socket || !this.#isOpen) return;
      const scope = fresh && scopeOf(deploymentOf(this.#url), { tokenType: fresh.type, value: fresh.value });
      if (!fresh || scope !== this.#shelf.scope) return this.setAuth(this.#credentials);
      this.#send(this.#session.authenticate(fresh.type, fresh.value));
      this.#renewLater(fresh);
    };
    // A token that cannot be fetched now is fetched when the hub says that the old one has expired.
    this.#timers.refresh = unref(setTimeout(() => void renew().catch(() => {}), afterMs));
  }

  #send(message: ClientMessage): void {
    if (this.#isOpen) this.#socket?.send(FORMAT.encode(message));
  }

  #received(data: unknown): void {
    this.#listen();
    try {
      const message = FORMAT.decode(data);
      switch (message?.type) {
        case "Transition":
          return this.#advance(message);
        case "MutationResponse":
          return this.#session.answered(message);
        case "AuthError":
          return this.#refused(message);
        case "FatalError":
          return this.#end(new HubError(message.error, "FatalError"));
      }
    } catch (error) {
      this.#socket?.close(RESYNC, "LostFrame");
      this.#lost(`LostFrame: ${String(error)}`);
    }
  }

  #advance(transition: Transition): void {
    const changed = this.#session.advance(transition);
    for (const query of changed) {
      if (query.result && "value" in query.result) this.#shelf.store(this.#shelf.scope, query.key, query.result.value);
    }
    if (this.#session.isCurrent) {
      if (this.#state.auth === "pending") this.#mustRefresh = false;
      if (this.#state.auth === "pending") this.#refusals = 0;
      this.#change({ status: "connected", hasEverConnected: true, failures: 0, auth: this.#state.auth === "pending" ? "confirmed" : this.#state.auth });
    }
    tell(changed);
    this.#session.settle();
  }

  #refused({ error, authUpdateAttempted }: AuthError): void {
    if (authUpdateAttempted !== false) this.#refusals = typeof this.#credentials === "function" ? this.#refusals + 1 : TOKENS_TO_TRY;
    this.#mustRefresh = true;
    this.#socket?.close();
    this.#lost(`BadToken: ${error}`);
  }

  /** The socket is gone, or of no more use: the next one comes after a while. */
  #lost(reason: string): void {
    this.#dropSocket(reason);
    const waitMs = backoffMs(this.#state.failures, reason);
    this.#change({ status: "waiting", failures: this.#state.failures + 1 });
    this.#timers.reconnect = setTimeout(() => this.#connect(), waitMs);
  }

  #dropSocket(reason: string): void {
    const socket = this.#socket;
    this.#lastCloseReason = reason.slice(0, 100);
    if (this.#isOpen) for (const query of this.#session.queries.values()) this.#keep(query);
    this.#isOpen = false;
    this.#socket = undefined;
    socket?.close();
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
  }

  /** Notices a hub that has fallen silent: it says something at least every 15 s. */
  #listen(): void {
    clearTimeout(this.#timers.inactivity);
    this.#timers.inactivity = setTimeout(() => this.#lost("InactiveServer"), INACTIVITY_MS);
  }

  #end(error: HubError): void {
    if (this.#state.status === "closed") return;
    this.#dropSocket(error.code);
    globalThis.removeEventListener?.("online", this.#onOnline);
    void this.#shelf.cache?.flush();
    for (const { reject } of this.#session.mutations.values()) reject(error);
    this.#session.mutations.clear();
    this.#change({ status: "closed" });
    for (const query of this.#session.queries.values()) query.result = { error };
    tell([...this.#session.queries.values()]);
    this.#session.queries.clear();
  }

  #change(state: Partial<State>): void {
    const changes = Object.entries(state).some(([name, value]) => this.#state[name as keyof State] !== value);
    this.#state = { ...this.#state, ...state };
    if (changes) this.#report();
  }

  #report(): void {
    const state = this.connectionState();
    for (const observer of this.#observers) observer(state);
  }

  #assertOpen(): void {
    if (this.#state.status === "closed") throw new HubError("the client was closed", CLOSED);
  }
}

/** Tells every watcher its query's result. One that throws is reported and does not keep the others from hearing. */
function tell(queries: readonly LiveQuery[]): void {
  for (const { result, watchers } of queries) {
    for (const watcher of result ? [...watchers] : []) {
      try {
        watcher(result!);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
