/**
 * What outlives a socket: values that are kept, queries that are kept warm, and whose values may be shown at this moment.
 *
 * One shelf belongs to one client (a transport, or a `HubClient`); every socket that it opens takes from it and gives to it.
 * Invariant: kept values are those of `scope`; when the subject changes they go, and what is stored of another subject goes too.
 */

import type { ValueCache } from "./cache.js";
import { KeptValues, type KeptLimits } from "./kept.js";
import { anonymous, type Scope } from "./scope.js";
import type { Json } from "./values.js";

/** A query that nobody needs to be subscribed to for the hub to keep it current. */
export interface WarmQuery {
  readonly key: string;
  readonly path: string;
  readonly args: Json;
  readonly until: number;
}

const SAVE_AFTER_MS = 250;

export class Shelf {
  readonly kept: KeptValues;
  /** Called when stored values of the scope have arrived. */
  onLoaded: () => void = () => {};
  scope: Scope;
  private deployment = "";
  private readonly warm = new Map<string, WarmQuery>();
  private readonly unsaved = new Map<string, unknown>();
  private saving: ReturnType<typeof setTimeout> | undefined;
  private loading: Promise<void> = Promise.resolve();

  constructor(
    canonical: (value: unknown) => Uint8Array<ArrayBuffer>,
    limits: KeptLimits,
    private readonly cache: ValueCache | undefined,
  ) {
    this.kept = new KeptValues(canonical, limits);
    globalThis.addEventListener?.("pagehide", () => void this.flush());
  }

  /** Whether values that are not current may be shown until the hub has answered. */
  get showsStored(): boolean {
    return this.cache !== undefined;
  }

  /** From now on the client speaks for `scope`: other subjects' values are forgotten, and its own loaded. */
  enter(deployment: string, scope: Scope): void {
    const before = this.scope;
    if (this.deployment === deployment && before === scope) return;
    this.unsaved.clear();
    this.kept.clear();
    this.deployment = deployment;
    this.scope = scope;
    const leftSomebody = before !== undefined && before !== anonymous(deployment);
    if (this.cache && (leftSomebody || scope !== anonymous(deployment))) void this.cache.erase(deployment, scope);
    this.loading = this.load(scope);
  }

  /** Forgets everything that is kept or stored for the deployment, for an application that signs out by leaving the page. */
  async erase(): Promise<void> {
    this.unsaved.clear();
    this.kept.clear();
    await this.cache?.erase(this.deployment, undefined);
  }

  /** Notes a value that the hub just sent to `scope`, to be stored in a while. */
  store(scope: Scope, key: string, value: unknown): void {
    if (!this.cache || scope === undefined || scope !== this.scope) return;
    this.unsaved.set(key, value);
    this.saving ??= unref(setTimeout(() => void this.flush(), SAVE_AFTER_MS));
  }

  /** Resolves once what can be offered to the hub is known. */
  async ready(): Promise<void> {
    await this.loading;
    await this.kept.settled();
  }

  // --- Warm queries ----------------------------------------------------------------------------------------------------

  /** Keeps a query warm until `until` (milliseconds of `Date.now()`). */
  heat(query: WarmQuery): void {
    const known = this.warm.get(query.key);
    if (!known || known.until < query.until) this.warm.set(query.key, query);
  }

  isWarm(key: string): boolean {
    return (this.warm.get(key)?.until ?? 0) > Date.now();
  }

  warmQueries(): WarmQuery[] {
    return [...this.warm.values()].filter(({ key }) => this.isWarm(key));
  }

  cool(key: string): void {
    this.warm.delete(key);
  }

  /** Stores at once what is waiting to be stored. */
  async flush(): Promise<void> {
    clearTimeout(this.saving);
    this.saving = undefined;
    if (!this.cache || this.scope === undefined || this.unsaved.size === 0) return;
    const entries = [...this.unsaved];
    this.unsaved.clear();
    await this.cache.save(this.scope, entries).catch(() => {});
  }

  private async load(scope: Scope): Promise<void> {
    if (!this.cache || scope === undefined) return;
    const stored = await this.cache.load(scope).catch(() => []);
    if (this.scope !== scope) return;
    for (const [key, value] of stored) if (this.kept.get(key) === undefined) this.kept.put(key, value);
    this.onLoaded();
  }

}

/** A timer that does not keep a Node process alive. */
export function unref<T>(timer: T): T {
  (timer as { unref?: () => void }).unref?.();
  return timer;
}
