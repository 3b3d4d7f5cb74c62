/**
 * What outlives a socket: the values that are kept, and whose they are at this moment.
 *
 * One shelf belongs to one client (a transport, or a `HubClient`); every socket that it opens takes from it and gives to it.
 * Invariant: kept values are those of `scope`; when the subject changes they go, and what is stored of another subject goes too.
 */

import type { ValueCache } from "./cache.js";
import { KeptValues, type KeptLimits } from "./kept.js";
import { canonical } from "./msgpack.js";
import { anonymous, type Scope } from "./scope.js";

const DEFAULT_LIMITS: KeptLimits = { entries: 100, bytes: 8 * 1024 * 1024 };

export class Shelf {
  readonly kept: KeptValues;
  /** Called when stored values of the scope have arrived. */
  onLoaded: () => void = () => {};
  scope: Scope;
  /** Whether the client was shown anything, so that its screens are not empty. */
  hasShown = false;
  #deployment = "";
  #loading: Promise<void> | undefined;

  /** `toNative`: of values as the client holds them. */
  constructor(
    limits: Partial<KeptLimits> | undefined,
    readonly cache: ValueCache | undefined,
    toNative: (value: unknown) => unknown = (value) => value,
  ) {
    this.kept = new KeptValues((value) => canonical(toNative(value)), { ...DEFAULT_LIMITS, ...limits });
  }

  /** From now on the client speaks for `scope`: other subjects' values are forgotten, and its own loaded. */
  enter(deployment: string, scope: Scope): void {
    if (this.#deployment === deployment && this.scope === scope) return;
    const wasSomebody = this.#isSomebody;
    this.kept.clear();
    this.#deployment = deployment;
    this.scope = scope;
    if (wasSomebody || this.#isSomebody) void this.cache?.erase(deployment, scope);
    this.#loading = this.#load(scope);
  }

  /** The client speaks for nobody until it is known for whom. */
  leave(): void {
    if (this.#isSomebody) void this.erase();
    this.kept.clear();
    this.scope = undefined;
  }

  get #isSomebody(): boolean {
    return this.scope !== undefined && this.scope !== anonymous(this.#deployment);
  }

  /** Forgets everything that is kept or stored for the deployment, for an application that signs out by leaving the page. */
  async erase(): Promise<void> {
    this.kept.clear();
    await this.cache?.erase(this.#deployment, undefined);
  }

  /** The value that may be shown of a query until the hub has answered; undefined if there is none. */
  stale(key: string): unknown {
    return this.cache && this.scope !== undefined ? this.kept.get(key) : undefined;
  }

  /** Notes a value that the hub sent to `scope`, to be stored in a while. */
  store(scope: Scope, key: string, value: unknown): void {
    if (scope !== undefined && scope === this.scope) this.cache?.store(scope, key, value);
  }

  /** Resolves once what can be offered to the hub is known. */
  async ready(): Promise<void> {
    await this.#loading;
    await this.kept.settled();
  }

  async #load(scope: Scope): Promise<void> {
    if (!this.cache || scope === undefined) return;
    const stored = await this.cache.load(scope).catch(() => []);
    if (this.scope !== scope) return;
    for (const [key, value] of stored) if (this.kept.get(key) === undefined) this.kept.put(key, value);
    this.onLoaded();
  }
}
