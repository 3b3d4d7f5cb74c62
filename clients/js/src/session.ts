/**
 * What `HubClient` wants of the hub, and what the hub has said: everything that outlives a socket. Pure: no socket, no timer.
 *
 * Exactly once: a mutation has the request id that it got when it was made, under the one session id of this client, and is sent
 * again on every new socket until its effects are shown; the hub applies it once. Its promise resolves when a transition has
 * reached its commit, so that whoever awaits it sees its effects in every subscription.
 */

import { failure, HubError } from "./errors.js";
import type { CallResponse, ClientMessage, Modification, ModifyQuerySet, Transition } from "./messages.js";
import { Replica } from "./replica.js";
import type { Scope } from "./scope.js";
import { ticks } from "./values.js";

/** A result as subscribers are told it. `isStale`: it was stored or kept, and the hub has not confirmed it. */
export type Result = { readonly value: unknown; readonly isStale: boolean } | { readonly error: HubError };

/** One query of the set, whoever is subscribed to it. */
export interface LiveQuery {
  readonly id: number;
  readonly key: string;
  readonly path: string;
  readonly args: unknown;
  readonly watchers: Set<(result: Result) => void>;
  journal?: string | null | undefined;
  result?: Result;
}

interface Mutation {
  readonly requestId: number;
  readonly path: string;
  readonly args: unknown;
  /** Who made it, if that was known. */
  readonly madeBy: Scope;
  resolve(value: unknown): void;
  reject(error: HubError): void;
  /** The answer, while its effects are still to be shown. */
  answer?: { readonly value: unknown; readonly ts: bigint };
}

/** Digests to be offered for a query, and the values that they are of. */
export type Offers = (key: string) => { digests: Uint8Array[]; values: unknown[] };

export class Session {
  readonly sessionId = uuid();
  readonly queries = new Map<string, LiveQuery>();
  readonly mutations = new Map<number, Mutation>();
  readonly #byId = new Map<number, LiveQuery>();
  #replica = new Replica();
  #connectionCount = 0;
  #querySet = 0;
  #identity = 0;
  #observed: string | undefined;
  #nextQueryId = 0;
  #nextRequestId = 0;

  /** Whether everything that was asked for has been answered on this socket. */
  get isCurrent(): boolean {
    return this.#replica.version.querySet === this.#querySet && this.#replica.version.identity === this.#identity;
  }

  /** Everything to be said first on a new socket. `token` is undefined for a caller without one. */
  open(lastCloseReason: string, token: { type: "User" | "Admin"; value: string } | undefined, offers: Offers): ClientMessage[] {
    this.#replica = new Replica();
    this.#querySet = this.#identity = 0;
    const { sessionId } = this;
    const maxObservedTimestamp = this.#observed;
    const connectionCount = this.#connectionCount++;
    const messages: ClientMessage[] = [{ type: "Connect", sessionId, connectionCount, lastCloseReason, maxObservedTimestamp }];
    if (token) messages.push(this.authenticate(token.type, token.value));
    messages.push(this.#modify([...this.queries.values()].map((query) => this.#add(query, offers))));
    for (const { requestId } of this.mutations.values()) messages.push(this.call(requestId));
    return messages;
  }

  authenticate(tokenType: "User" | "Admin", value: string): ClientMessage {
    return { type: "Authenticate", baseVersion: this.#identity++, tokenType, value };
  }

  // --- Queries ---------------------------------------------------------------------------------------------------------

  /** The query of the set, and what the hub is to hear if it is new. */
  watch(key: string, path: string, args: unknown, offers: Offers): [LiveQuery, ModifyQuerySet?] {
    const known = this.queries.get(key);
    if (known) return [known];
    const query: LiveQuery = { id: this.#nextQueryId++, key, path, args, watchers: new Set() };
    this.queries.set(key, query);
    this.#byId.set(query.id, query);
    return [query, this.#modify([this.#add(query, offers)])];
  }

  /** What the hub is to hear when nobody watches a query any more. */
  unwatch(query: LiveQuery): ModifyQuerySet {
    this.queries.delete(query.key);
    this.#byId.delete(query.id);
    return this.#modify([{ type: "Remove", queryId: query.id }]);
  }

  /** The last value of a query on this socket. */
  value(query: LiveQuery): unknown {
    return this.#replica.value(query.id);
  }

  #add({ id: queryId, key, path: udfPath, args, journal }: LiveQuery, offers: Offers): ModifyQuerySet["modifications"][number] {
    const { digests, values } = offers(key);
    this.#replica.offered(queryId, values);
    return { type: "Add", queryId, udfPath, args: [args], journal, ...(digests.length > 0 ? { held: digests } : {}) };
  }

  #modify(modifications: ModifyQuerySet["modifications"]): ModifyQuerySet {
    return { type: "ModifyQuerySet", baseVersion: this.#querySet, newVersion: ++this.#querySet, modifications };
  }

  // --- Mutations -------------------------------------------------------------------------------------------------------

  /** Notes a mutation and gives its request id; `call` is what the hub is to hear. */
  mutate(path: string, args: unknown, madeBy: Scope, resolve: Mutation["resolve"], reject: Mutation["reject"]): number {
    const requestId = this.#nextRequestId++;
    this.mutations.set(requestId, { requestId, path, args, madeBy, resolve, reject });
    return requestId;
  }

  /** From now on everything is said in the name of `scope`: what somebody else began is not said again. */
  speaksFor(scope: Scope): void {
    for (const [requestId, { madeBy, answer, reject }] of this.mutations) {
      if (answer || madeBy === undefined || madeBy === scope) continue;
      this.mutations.delete(requestId);
      reject(new HubError("the caller has changed", "CallerChanged"));
    }
  }

  call(requestId: number): ClientMessage {
    const { path, args } = this.mutations.get(requestId)!;
    return { type: "Mutation", requestId, udfPath: path, args: [args] };
  }

  answered(response: CallResponse): void {
    const mutation = this.mutations.get(response.requestId);
    if (!mutation || mutation.answer) return; // a repeat of what is known
    if (response.success && response.ts) {
      mutation.answer = { value: response.result, ts: ticks(response.ts) };
      this.#observe(response.ts);
      this.settle();
      return;
    }
    this.mutations.delete(response.requestId);
    mutation.reject(failure(String(response.result), response.errorData));
  }

  // --- What the hub shows ----------------------------------------------------------------------------------------------

  /** Takes a transition; returns the queries whose result it brings. Throws LostFrame or BadEdit. */
  advance(transition: Transition): LiveQuery[] {
    const { endVersion, modifications } = this.#replica.receive(transition);
    this.#observe(endVersion.ts);
    return modifications.flatMap((modification) => this.#note(modification));
  }

  #note(modification: Modification): LiveQuery[] {
    const query = this.#byId.get(modification.queryId);
    if (!query || modification.type === "QueryRemoved") return [];
    if (modification.journal !== undefined) query.journal = modification.journal;
    query.result =
      modification.type === "QueryUpdated"
        ? { value: modification.value, isStale: false }
        : { error: failure(modification.errorMessage, modification.errorData) };
    return [query];
  }

  /** Resolves the mutations whose effects have been shown; to be called once they are. */
  settle(): void {
    const shown = ticks(this.#replica.version.ts);
    for (const [requestId, { answer, resolve }] of this.mutations) {
      if (!answer || answer.ts > shown) continue;
      this.mutations.delete(requestId);
      resolve(answer.value);
    }
  }

  #observe(ts: string): void {
    if (this.#observed === undefined || ticks(this.#observed) < ticks(ts)) this.#observed = ts;
  }
}

/** A random UUID, also on a page that is not in a secure context. */
function uuid(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, "$1-$2-$3-$4-$5");
}
