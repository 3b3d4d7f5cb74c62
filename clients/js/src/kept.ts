/**
 * The last values of queries that are not on a socket at this moment: what is offered to the hub when they are asked for again,
 * so that it need not send what is here already. Bounded by number and by size; the oldest go first.
 *
 * A value is offered by its digest, which takes a moment: `settled` waits for those under way. Where there is no WebCrypto (a
 * page that is not in a secure context) nothing is offered.
 */

/** How much may be kept: what was put last stays longest. */
export interface KeptLimits {
  readonly entries: number;
  readonly bytes: number;
}

interface Kept {
  readonly value: unknown;
  digest?: Uint8Array;
  sizeBytes: number;
}

export class KeptValues {
  readonly #entries = new Map<string, Kept>();
  readonly #digesting = new Set<Promise<void>>();
  #sizeBytes = 0;

  readonly #canonical: (value: unknown) => Uint8Array<ArrayBuffer>;
  readonly #limits: KeptLimits;
  /** `canonical` gives the bytes over which the two sides compare digests. */
  constructor(
    canonical: (value: unknown) => Uint8Array<ArrayBuffer>,
    limits: KeptLimits,
  ) {
    this.#canonical = canonical;
    this.#limits = limits;
}

  /** One that cannot be digested (a cache may hold anything) is never offered. */
  put(key: string, value: unknown): void {
    if (this.#entries.get(key)?.value === value) return;
    this.#drop(key);
    const kept: Kept = { value, sizeBytes: 0 };
    this.#entries.set(key, kept);
    const digesting = this.#digest(kept).catch(() => {}).finally(() => this.#digesting.delete(digesting));
    this.#digesting.add(digesting);
    this.#evict();
  }

  get(key: string): unknown {
    return this.#entries.get(key)?.value;
  }

  /** What can be offered for a query: digests, and in the same order the values that they are of. */
  offers(key: string): { digests: Uint8Array[]; values: unknown[] } {
    const kept = this.#entries.get(key);
    return kept?.digest ? { digests: [kept.digest], values: [kept.value] } : { digests: [], values: [] };
  }

  /** Resolves once every value that was put can be offered. */
  async settled(): Promise<void> {
    await Promise.all(this.#digesting);
  }

  clear(): void {
    this.#entries.clear();
    this.#sizeBytes = 0;
  }

  async #digest(kept: Kept): Promise<void> {
    const subtle = globalThis.crypto?.subtle as SubtleCrypto | undefined;
    const bytes = this.#canonical(kept.value);
    kept.sizeBytes = bytes.byteLength;
    this.#sizeBytes += bytes.byteLength;
    if (!subtle) return;
    kept.digest = new Uint8Array(await subtle.digest("SHA-256", bytes));
  }

  #drop(key: string): void {
    this.#sizeBytes -= this.#entries.get(key)?.sizeBytes ?? 0;
    this.#entries.delete(key);
  }

  #evict(): void {
    const { entries, bytes } = this.#limits;
    for (const key of this.#entries.keys()) {
      if (this.#entries.size <= entries && this.#sizeBytes <= bytes) break;
      this.#drop(key);
    }
  }
}
