/** Queries that the transport keeps subscribed for a while although nobody may use them: what was prefetched. */

import type { Json } from "./values.js";

/** `until` is a moment of `Date.now()`. */
export interface WarmQuery {
  readonly key: string;
  readonly path: string;
  readonly args: Json;
  readonly until: number;
}

export class WarmQueries {
  readonly #queries = new Map<string, WarmQuery>();

  /** Keeps a query warm; one that is warm longer stays so. */
  heat(query: WarmQuery): void {
    const known = this.#queries.get(query.key);
    if (!known || known.until < query.until) this.#queries.set(query.key, query);
  }

  cool(key: string): void {
    this.#queries.delete(key);
  }

  has(key: string): boolean {
    return (this.#queries.get(key)?.until ?? 0) > Date.now();
  }

  all(): WarmQuery[] {
    return [...this.#queries.values()].filter(({ key }) => this.has(key));
  }
}
