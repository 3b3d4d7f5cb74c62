/** How long to wait before the next connection. */

const LONGEST_MS = 16_000;
/** The connection broke here, and nothing says that the hub is in trouble. */
const FIRST_MS = 100;
const FIRST_OF_UNKNOWN_MS = 1_000;
const FIRST_OF_OVERLOADED_MS = 3_000;

/** Milliseconds, longer with every failure, spread so that clients do not come back all at once. */
export function backoffMs(failures: number, reason: string, random: () => number = Math.random): number {
  const first = /^(Lost|Bad|Inactive)/.test(reason) ? FIRST_MS : /Full|TooMany/.test(reason) ? FIRST_OF_OVERLOADED_MS : FIRST_OF_UNKNOWN_MS;
  return Math.min(first * 2 ** failures, LONGEST_MS) * (0.5 + random());
}
