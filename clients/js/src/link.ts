/**
 * One socket's session, between the stock client and the hub: what each of them sent, as the other is to hear it.
 *
 * The stock client believes that it talks to a server of its own protocol. The link keeps that true: it turns edits into whole
 * values, adds the transport's own queries (those kept warm) to the query set without the client's seeing them, and gives the
 * client its own count of query set versions. Pure: no socket, timer or clock.
 *
 * Invariants: every transition for the client starts where the one before it ended; its `ts` is one that the hub reached, or
 * zero before it reached any, so that no mutation is ever resolved by a value that was made here.
 */

import type {
  AddQuery,
  ClientMessage,
  Modification,
  ModifyQuerySet,
  QueryFailed,
  QueryUpdated,
  RemoveQuery,
  ServerMessage,
  Transition,
  Version,
} from "./messages.js";
import { ZERO } from "./messages.js";
import { queryKey } from "./names.js";
import { Replica } from "./replica.js";
import { anonymous, scopeOf, type Scope } from "./scope.js";
import type { Shelf } from "./shelf.js";
import { ticks, type Json } from "./values.js";
import type { WarmQueries, WarmQuery } from "./warm.js";

/** The transport's own queries have ids that no client counts up to. */
const FIRST_OWN_ID = 2_000_000_000;

interface Subscription {
  readonly key: string;
  readonly path: string;
  readonly args: unknown;
  /** The client's id of the query; undefined while it is only kept warm. */
  clientId: number | undefined;
  journal: string | null | undefined;
  /** What the hub said last. */
  result: QueryUpdated | QueryFailed | undefined;
  /** The hub was told to remove it, and has not confirmed. */
  isLeaving: boolean;
}

const NEW = { journal: undefined, result: undefined, isLeaving: false };

export class Link {
  readonly #replica = new Replica();
  readonly #subscriptions = new Map<number, Subscription>();
  readonly #wireIds = new Map<number, number>();
  readonly #scopes: Scope[];
  #shown: Version = ZERO;
  #wireVersion = 0;
  #clientVersion = 0;
  /** Which query set version of the client each one of the wire stands for, in order. */
  readonly #versions: { readonly wire: number; readonly client: number }[] = [];
  /** Modifications for the client that no frame of the hub brings, by the client's query id. */
  readonly #waiting = new Map<number, Modification>();
  /** Those of them that were meant for whoever was signed in before: the hub's word on the new one comes first. */
  readonly #held = new Map<number, Modification>();
  /** The commit of a mutation that the client was told of and has not seen. */
  #owed: bigint | undefined;
  #nextOwnId = FIRST_OWN_ID;
  #hasBegun = false;
  /** Whether the client's screens are empty, or already made from transitions of this socket. */
  #mayShow: boolean;

  readonly #shelf: Shelf;
  readonly #warm: WarmQueries;
  readonly #deployment: string;
  constructor(
    shelf: Shelf,
    warm: WarmQueries,
    deployment: string,
  ) {
    this.#shelf = shelf;
    this.#warm = warm;
    this.#deployment = deployment;
    this.#scopes = [anonymous(deployment)];
    this.#mayShow = !shelf.hasShown;
  }

  // --- From the client -------------------------------------------------------------------------------------------------

  /** What the hub is to get for a message of the client. */
  send(message: ClientMessage): ClientMessage[] {
    switch (message.type) {
      case "Authenticate":
        for (const [clientId, change] of this.#waiting) if (change.type !== "QueryRemoved") this.#hold(clientId, change);
        this.#scopes.push(scopeOf(this.#deployment, message));
        this.#shelf.enter(this.#deployment, this.#scopes.at(-1));
        this.showStored();
        return [message];
      case "ModifyQuerySet":
        return this.#modify(message);
      default:
        return [message];
    }
  }

  #hold(clientId: number, change: Modification): void {
    this.#waiting.delete(clientId);
    this.#held.set(clientId, change);
  }

  #modify(message: ModifyQuerySet): ClientMessage[] {
    const isFirst = !this.#hasBegun;
    if (isFirst && this.#scopes.length === 1) this.#shelf.enter(this.#deployment, this.#scopes[0]);
    this.#hasBegun = true;
    this.#clientVersion = message.newVersion;
    const changes: (AddQuery | RemoveQuery)[] = [];
    for (const change of message.modifications) changes.push(...(change.type === "Add" ? this.#add(change) : this.#remove(change)));
    if (isFirst) for (const query of this.#warm.all()) changes.push(...this.#warmUp(query));
    return this.#changeQuerySet(changes, isFirst);
  }

  #add(change: AddQuery): AddQuery[] {
    const key = queryKey(change.udfPath, change.args[0] as Json, change.componentPath);
    const isSame = this.#shown.identity === this.#scopes.length - 1; // else what is warm may be what somebody else was sent
    const [warm] = isSame ? this.#unused(key) : [];
    if (warm && (change.journal === undefined || change.journal === null || change.journal === warm[1].journal)) {
      const [wireId, subscription] = warm;
      subscription.clientId = change.queryId;
      this.#wireIds.set(change.queryId, wireId);
      if (subscription.result) this.#waiting.set(change.queryId, { ...subscription.result, queryId: change.queryId });
      return [];
    }
    const { queryId: clientId, udfPath: path, args, journal } = change;
    this.#subscriptions.set(clientId, { key, path, args, clientId, ...NEW, journal });
    this.#wireIds.set(clientId, clientId);
    this.showStored();
    return [change];
  }

  #remove({ queryId: clientId }: RemoveQuery): RemoveQuery[] {
    const wireId = this.#wireIds.get(clientId);
    this.#wireIds.delete(clientId);
    this.#waiting.delete(clientId);
    this.#held.delete(clientId);
    const subscription = wireId === undefined ? undefined : this.#subscriptions.get(wireId);
    if (wireId === undefined || !subscription) return [];
    if (this.#warm.has(subscription.key)) {
      subscription.clientId = undefined;
      this.#waiting.set(clientId, { type: "QueryRemoved", queryId: clientId });
      return [];
    }
    this.#keep(wireId, subscription);
    return [{ type: "Remove", queryId: wireId }];
  }

  // --- Queries kept warm -----------------------------------------------------------------------------------------------

  /** What the hub is to get so that it keeps a query current; nothing before the client's own first query set. */
  heat(query: WarmQuery): ClientMessage[] {
    return this.#hasBegun ? this.#changeQuerySet(this.#warmUp(query), false) : [];
  }

  /** What the hub is to get when a query need not be warm any more: nothing, while the client is subscribed to it. */
  cool(key: string): ClientMessage[] {
    const unused = this.#unused(key);
    for (const [wireId, subscription] of unused) this.#keep(wireId, subscription);
    return this.#changeQuerySet(
      unused.map(([queryId]) => ({ type: "Remove", queryId })),
      false,
    );
  }

  #unused(key: string): [wireId: number, Subscription][] {
    return [...this.#subscriptions].filter(([, one]) => one.key === key && one.clientId === undefined && !one.isLeaving);
  }

  #warmUp({ key, path, args }: WarmQuery): AddQuery[] {
    if ([...this.#subscriptions.values()].some((one) => one.key === key && !one.isLeaving)) return [];
    const queryId = this.#nextOwnId++;
    this.#subscriptions.set(queryId, { key, path, args: [args], clientId: undefined, ...NEW });
    return [{ type: "Add", queryId, udfPath: path, args: [args] }];
  }

  #changeQuerySet(modifications: (AddQuery | RemoveQuery)[], isNeeded: boolean): ClientMessage[] {
    const baseVersion = this.#wireVersion;
    const isSent = isNeeded || modifications.length > 0;
    if (isSent) this.#wireVersion += 1;
    this.#versions.push({ wire: this.#wireVersion, client: this.#clientVersion });
    return isSent ? [{ type: "ModifyQuerySet", baseVersion, newVersion: this.#wireVersion, modifications }] : [];
  }

  /** The message with what can be offered for each query that it adds; to be asked for when it goes out, in order. */
  offer(message: ClientMessage): ClientMessage {
    if (message.type !== "ModifyQuerySet") return message;
    const modifications = message.modifications.map((change) => {
      const key = change.type === "Add" ? this.#subscriptions.get(change.queryId)?.key : undefined;
      if (key === undefined) return change;
      const { digests, values } = this.#shelf.kept.offers(key);
      this.#replica.offered(change.queryId, values);
      return digests.length > 0 ? { ...change, held: digests } : change;
    });
    return { ...message, modifications };
  }

  // --- From the hub ----------------------------------------------------------------------------------------------------

  /** What the client is to get for a message of the hub. Throws LostFrame or BadEdit: the socket must then be closed. */
  receive(message: ServerMessage): ServerMessage<Modification> {
    if (message.type === "Transition") return this.#advance(this.#replica.receive(message));
    if (message.type === "MutationResponse" && message.success && message.ts) this.#owed = ticks(message.ts);
    return message;
  }

  #advance({ endVersion: end, modifications: changes, ...rest }: Transition<Modification>): ServerMessage<Modification> {
    const scope = this.#scopes[end.identity];
    const forClient = changes.flatMap((change) => this.#note(change, scope));
    if (end.identity !== this.#shown.identity) this.#storeAll(scope);
    if (this.#owed !== undefined && ticks(end.ts) >= this.#owed) this.#owed = undefined;
    this.#mayShow = this.#shelf.hasShown = true;
    if (end.identity === this.#scopes.length - 1) {
      for (const [clientId, change] of this.#held) if (!this.#waiting.has(clientId)) this.#waiting.set(clientId, change);
      this.#held.clear();
    }
    const answered = new Set(forClient.map(({ queryId }) => queryId));
    const others = [...this.#waiting.values()].filter(({ queryId }) => !answered.has(queryId));
    this.#waiting.clear();
    const startVersion = this.#shown;
    this.#shown = { ...end, querySet: this.#reached(end.querySet) };
    return { ...rest, type: "Transition", startVersion, endVersion: this.#shown, modifications: [...others, ...forClient] };
  }

  #note(change: Modification, scope: Scope): Modification[] {
    const subscription = this.#subscriptions.get(change.queryId);
    if (change.type === "QueryRemoved") {
      this.#subscriptions.delete(change.queryId);
      return subscription?.clientId === undefined ? [] : [{ ...change, queryId: subscription.clientId }];
    }
    if (!subscription) return [];
    subscription.result = change;
    if (change.journal !== undefined) subscription.journal = change.journal;
    if (change.type === "QueryUpdated") this.#shelf.store(scope, subscription.key, change.value);
    return subscription.clientId === undefined ? [] : [{ ...change, queryId: subscription.clientId }];
  }

  /** The client's query set version of which everything is reflected once the wire's `querySet` is. */
  #reached(querySet: number): number {
    let client = this.#shown.querySet;
    while (this.#versions[0] && this.#versions[0].wire <= querySet) client = this.#versions.shift()!.client;
    return client;
  }

  // --- Values made here ------------------------------------------------------------------------------------------------

  /**
   * The transition that shows what no frame of the hub brings: results of queries that were warm already, and stored values.
   *
   * It does not move the client in time. There is none while a mutation was answered and its effects are still to come (it would
   * resolve the promise), and none on a new socket before the hub's first one: a client that comes back shows what it had until
   * then, and would take a transition for all that there is.
   */
  shows(): Transition<Modification> | undefined {
    if (this.#waiting.size === 0 || !this.#mayShow || this.#owed !== undefined) return undefined;
    const modifications = [...this.#waiting.values()];
    this.#waiting.clear();
    this.#shelf.hasShown = true;
    return { type: "Transition", startVersion: this.#shown, endVersion: this.#shown, modifications };
  }

  /** Has the stored values shown of queries that the hub has not answered. */
  showStored(): void {
    const scope = this.#scopes.at(-1);
    if (scope !== this.#shelf.scope) return;
    for (const { clientId: queryId, key, result, isLeaving } of this.#subscriptions.values()) {
      const value = this.#shelf.stale(key);
      if (queryId === undefined || result || isLeaving || value === undefined || this.#waiting.has(queryId)) continue;
      this.#waiting.set(queryId, { type: "QueryUpdated", queryId, value, logLines: [] });
    }
  }

  /** The socket is gone: its values are kept for the next one. */
  close(): void {
    for (const [wireId, subscription] of this.#subscriptions) this.#keep(wireId, subscription);
  }

  /** Nobody needs the subscription any more; its value is kept for the next who asks. */
  #keep(wireId: number, subscription: Subscription): void {
    subscription.isLeaving = true;
    const value = this.#replica.value(wireId);
    if (value !== undefined && this.#scopes[this.#shown.identity] === this.#shelf.scope) this.#shelf.kept.put(subscription.key, value);
  }

  #storeAll(scope: Scope): void {
    for (const { key, result } of this.#subscriptions.values()) {
      if (result?.type === "QueryUpdated") this.#shelf.store(scope, key, result.value);
    }
  }
}
