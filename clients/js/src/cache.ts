/**
 * Values that outlive the page, so that the next one has something to show before the hub answers.
 *
 * Stored values are a copy that may be gone at any time: too old, too many, too large ones are dropped, and a browser that
 * refuses to store is not an error.
 */

import type { Json } from "./values.js";

/** Where values are stored: by scope (deployment, issuer, subject) and query. Values are in stock form: plain JSON. */
export interface ValueCache {
  /** The values of a scope, the ones stored last at the end. */
  load(scope: string): Promise<[key: string, value: Json][]>;
  save(scope: string, entries: readonly (readonly [key: string, value: unknown])[]): Promise<void>;
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

interface Entry {
  readonly key: string;
  readonly at: number;
  readonly text: string;
}

const DAY_MS = 86_400_000;

function limitsOf(limits: CacheLimits): Required<CacheLimits> {
  return { entries: 50, valueLength: 262_144, maxAgeMs: DAY_MS, ...limits };
}

function toEntries(entries: readonly (readonly [string, unknown])[], { valueLength }: Required<CacheLimits>): Entry[] {
  const at = Date.now();
  return entries.map(([key, value]) => ({ key, at, text: JSON.stringify(value) })).filter(({ text }) => text.length <= valueLength);
}

function toValues(entries: Entry[], { maxAgeMs }: Required<CacheLimits>): [string, Json][] {
  const youngEnough = entries.filter(({ at }) => Date.now() - at < maxAgeMs).sort((one, other) => one.at - other.at);
  return youngEnough.map(({ key, text }) => [key, JSON.parse(text) as Json]);
}

/** Of `entries`, the keys that are too many. */
function surplus(entries: Entry[], limits: Required<CacheLimits>): string[] {
  const oldestFirst = [...entries].sort((one, other) => one.at - other.at);
  return oldestFirst.slice(0, Math.max(0, entries.length - limits.entries)).map(({ key }) => key);
}

/** Values in `sessionStorage`: each tab has its own, and they go with it. */
export function sessionCache(limits: CacheLimits = {}): ValueCache {
  const bounds = limitsOf(limits);
  const storage = (): Storage | undefined => {
    try {
      return globalThis.sessionStorage;
    } catch {
      return undefined; // the browser forbids it for this page
    }
  };
  const keys = (prefix: string): string[] => {
    const store = storage();
    const all = Array.from({ length: store?.length ?? 0 }, (_, index) => store?.key(index) ?? "");
    return all.filter((key) => key.startsWith(prefix));
  };
  const read = (scope: string): Entry[] => keys(`${scope} `).map((key) => JSON.parse(storage()!.getItem(key)!) as Entry);
  const remove = (key: string): void => storage()?.removeItem(key);

  return {
    load: async (scope) => toValues(read(scope), bounds),
    save: async (scope, entries) => {
      for (const entry of toEntries(entries, bounds)) storage()?.setItem(`${scope} ${entry.key}`, JSON.stringify(entry));
      for (const key of surplus(read(scope), bounds)) remove(`${scope} ${key}`);
    },
    erase: async (deployment, except) => {
      for (const key of keys(deployment)) if (except === undefined || !key.startsWith(`${except} `)) remove(key);
    },
  };
}

/** Values in IndexedDB: all tabs share them, and they stay when the browser is closed. */
export function indexedDbCache(limits: CacheLimits = {}): ValueCache {
  const bounds = limitsOf(limits);
  let opened: Promise<IDBDatabase> | undefined;
  const database = (): Promise<IDBDatabase> => {
    opened ??= new Promise((resolve, reject) => {
      const opening = globalThis.indexedDB.open("hub-client", 1);
      opening.onupgradeneeded = () => opening.result.createObjectStore("values");
      opening.onsuccess = () => resolve(opening.result);
      opening.onerror = () => reject(opening.error ?? new Error("IndexedDB cannot be opened"));
    });
    return opened;
  };
  /** Keys are `[scope, query]`: one transaction for each call, so that what is erased after it was saved stays erased. */
  const within = async (work: (store: IDBObjectStore) => void): Promise<void> => {
    const transaction = (await database()).transaction("values", "readwrite");
    work(transaction.objectStore("values"));
    await new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onerror = transaction.onabort = () => reject(transaction.error ?? new Error("IndexedDB failed"));
    });
  };
  const ofScope = (scope: string): IDBKeyRange => IDBKeyRange.bound([scope], [scope, []]);
  const all = async (scope: string): Promise<Entry[]> => {
    let found: Entry[] = [];
    await within((store) => {
      const request = store.getAll(ofScope(scope)) as IDBRequest<Entry[]>;
      request.onsuccess = () => (found = request.result);
    });
    return found;
  };

  return {
    load: async (scope) => toValues(await all(scope), bounds),
    save: async (scope, entries) => {
      await within((store) => toEntries(entries, bounds).forEach((entry) => store.put(entry, [scope, entry.key])));
      const tooMany = surplus(await all(scope), bounds);
      if (tooMany.length > 0) await within((store) => tooMany.forEach((key) => store.delete([scope, key])));
    },
    erase: async (deployment, except) => {
      await within((store) => {
        const keys = store.getAllKeys();
        keys.onsuccess = () => {
          const gone = (keys.result as [string, string][]).filter(([scope]) => scope.startsWith(deployment) && scope !== except);
          for (const key of gone) store.delete(key);
        };
      });
    },
  };
}
