/**
 * Values that outlive the page, so that the next one has something to show before the hub answers.
 *
 * What is stored is a copy that may be gone at any time: too old, too many, too large values are dropped, and a browser that
 * refuses to store is not an error. Values are written a moment after they came, the last of several, and when the page goes.
 */

import { unref } from "./platform.js";
import { fromStock, toStock } from "./values.js";

/** Where a client stores values, by scope (deployment, issuer, subject) and query. Made by `sessionCache` and `indexedDbCache`. */
export interface ValueCache {
  /** Whether the client holds values in stock form; set by the client. */
  holdsStockForm: boolean;
  /** The values of a scope, the ones stored last at the end. */
  load(scope: string): Promise<(readonly [key: string, value: unknown])[]>;
  store(scope: string, key: string, value: unknown): void;
  /** Writes what is waiting to be written. */
  flush(): Promise<void>;
  /** Removes what is stored under a deployment, but for one scope. */
  erase(deployment: string, except: string | undefined): Promise<void>;
}

/** Bounds of what is stored; each has a default. */
export interface CacheLimits {
  /** Queries for each person; the ones stored first go first. Default 50. */
  readonly entries?: number;
  /** Length of the text of one value; longer ones are not stored. Default 256 Ki characters. */
  readonly valueLength?: number;
  /** Milliseconds after which a stored value is not shown any more. Default one day. */
  readonly maxAgeMs?: number;
}

/** `text` is the JSON of a value in stock form. */
interface Entry {
  readonly key: string;
  readonly at: number;
  readonly text: string;
}

interface Storing {
  read(scope: string): Promise<Entry[]>;
  write(scope: string, entries: Entry[]): Promise<void>;
  remove(scope: string, keys: string[]): Promise<void>;
  erase(deployment: string, except: string | undefined): Promise<void>;
}

const DAY_MS = 86_400_000;
const WRITE_AFTER_MS = 250;

class StoredValues implements ValueCache {
  holdsStockForm = false;
  readonly #storing: Storing;
  readonly #limits: Required<CacheLimits>;
  readonly #unwritten = new Map<string, unknown>();
  #scope = "";
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(storing: Storing, limits: CacheLimits) {
    this.#storing = storing;
    this.#limits = { entries: 50, valueLength: 262_144, maxAgeMs: DAY_MS, ...limits };
    globalThis.addEventListener?.("pagehide", () => void this.flush());
  }

  async load(scope: string): Promise<(readonly [string, unknown])[]> {
    const entries = await this.#storing.read(scope).catch(() => []);
    const youngEnough = oldestFirst(entries).filter(({ at }) => Date.now() - at < this.#limits.maxAgeMs);
    return youngEnough.map(({ key, text }) => {
      const value: unknown = JSON.parse(text);
      return [key, this.holdsStockForm ? value : fromStock(value)];
    });
  }

  store(scope: string, key: string, value: unknown): void {
    if (scope !== this.#scope) this.#unwritten.clear();
    this.#scope = scope;
    this.#unwritten.set(key, value);
    this.#timer ??= unref(setTimeout(() => void this.flush(), WRITE_AFTER_MS));
  }

  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const at = Date.now();
    const scope = this.#scope;
    const entries = [...this.#unwritten].map(([key, value]) => ({ key, at, text: JSON.stringify(toStock(value)) }));
    this.#unwritten.clear();
    const small = entries.filter(({ text }) => text.length <= this.#limits.valueLength);
    if (small.length > 0) await this.#write(scope, small).catch(() => {});
  }

  async erase(deployment: string, except: string | undefined): Promise<void> {
    if (this.#scope !== except) this.#unwritten.clear();
    await this.#storing.erase(deployment, except).catch(() => {});
  }

  async #write(scope: string, entries: Entry[]): Promise<void> {
    await this.#storing.write(scope, entries);
    const all = oldestFirst(await this.#storing.read(scope));
    const tooMany = all.slice(0, Math.max(0, all.length - this.#limits.entries));
    if (tooMany.length > 0) await this.#storing.remove(scope, tooMany.map(({ key }) => key));
  }
}

function oldestFirst(entries: Entry[]): Entry[] {
  return [...entries].sort((one, other) => one.at - other.at);
}

/** Values in `sessionStorage`: each tab has its own, and they go with it. */
export function sessionCache(limits: CacheLimits = {}): ValueCache {
  // Reading it throws where the browser forbids it; every caller takes a failure for an empty storage.
  const keys = (prefix: string): string[] => Object.keys(sessionStorage).filter((key) => key.startsWith(prefix));
  const storing: Storing = {
    read: async (scope) => keys(`${scope} `).map((key) => JSON.parse(sessionStorage.getItem(key)!) as Entry),
    write: async (scope, entries) => {
      for (const entry of entries) sessionStorage.setItem(`${scope} ${entry.key}`, JSON.stringify(entry));
    },
    remove: async (scope, gone) => {
      for (const key of gone) sessionStorage.removeItem(`${scope} ${key}`);
    },
    erase: async (deployment, except) => {
      const gone = keys(deployment).filter((key) => except === undefined || !key.startsWith(`${except} `));
      for (const key of gone) sessionStorage.removeItem(key);
    },
  };
  return new StoredValues(storing, limits);
}

/** Values in IndexedDB: all tabs share them, and they stay when the browser is closed. */
export function indexedDbCache(limits: CacheLimits = {}): ValueCache {
  let opened: Promise<IDBDatabase> | undefined;
  const open = (): Promise<IDBDatabase> =>
    new Promise((resolve, reject) => {
      const opening = indexedDB.open("hub-client", 1);
      opening.onupgradeneeded = () => opening.result.createObjectStore("values");
      opening.onsuccess = () => resolve(opening.result);
      opening.onerror = () => reject(opening.error ?? new Error("IndexedDB cannot be opened"));
    });
  /** Keys are `[scope, query]`. Transactions run in the order in which they were made: what is erased after it was written stays so. */
  const within = async (work: (store: IDBObjectStore) => void): Promise<void> => {
    const transaction = (await (opened ??= open())).transaction("values", "readwrite");
    work(transaction.objectStore("values"));
    await new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onerror = transaction.onabort = () => reject(transaction.error ?? new Error("IndexedDB failed"));
    });
  };
  const storing: Storing = {
    read: async (scope) => {
      let found: Entry[] = [];
      await within((store) => {
        const request = store.getAll(IDBKeyRange.bound([scope], [scope, []]));
        request.onsuccess = () => (found = request.result as Entry[]);
      });
      return found;
    },
    write: (scope, entries) => within((store) => entries.forEach((entry) => store.put(entry, [scope, entry.key]))),
    remove: (scope, gone) => within((store) => gone.forEach((key) => store.delete([scope, key]))),
    erase: (deployment, except) =>
      within((store) => {
        const keys = store.getAllKeys();
        keys.onsuccess = () => {
          const gone = (keys.result as [string, string][]).filter(([scope]) => scope.startsWith(deployment) && scope !== except);
          for (const key of gone) store.delete(key);
        };
      }),
  };
  return new StoredValues(storing, limits);
}
