/**
 * Which subprotocol to offer next, from how the last attempts went.
 *
 * A browser fails a connection whose subprotocols the server does not know, and does not say why. So an attempt that did not
 * come to be open is made once more without subprotocols: if that one opens, the server speaks the stock protocol.
 */

const STOCK_FOR_MS = 600_000;
const FAILURES_BEFORE_DOUBT = 3;

export class Negotiation {
  /** The subprotocol of the last socket that opened: empty for the stock protocol, undefined before there was one. */
  protocol: string | undefined;
  #stockUntil = 0;
  #failures = 0;

  constructor(private readonly preferred: string) {}

  /** What to offer on a new socket. */
  offers(): string[] {
    return this.preferred === "" || Date.now() < this.#stockUntil ? [] : [this.preferred];
  }

  opened(protocol: string): void {
    this.protocol = protocol;
    this.#failures = 0;
    if (protocol === "" && this.preferred !== "") this.#stockUntil = Date.now() + STOCK_FOR_MS;
  }

  /** A frame could not be read at all: the stock protocol may do better. */
  distrust(): void {
    this.#stockUntil = Date.now() + STOCK_FOR_MS;
  }

  /** Whether to try at once without subprotocols, after an attempt with them that did not open. */
  shouldTryStock(): boolean {
    this.#failures += 1;
    return !this.protocol || this.#failures >= FAILURES_BEFORE_DOUBT;
  }
}
