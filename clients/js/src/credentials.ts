/** Who a `HubClient` speaks for: a token, or what fetches one and renews it, or the service key. */

import { claimsOf } from "./scope.js";

/** Gives a token, or null for nobody. `forceRefresh`: the last one was refused or is about to expire. */
export type TokenFetcher = (options: { readonly forceRefresh: boolean }) => Promise<string | null> | string | null;

/**
 * A token; a function that fetches one and is asked again before it expires; or, on servers only, the service key: whoever has it
 * may do anything, so it must never reach a browser.
 */
export type Credentials = string | TokenFetcher | { readonly serviceKey: string };

export interface Token {
  readonly type: "User" | "Admin";
  readonly value: string;
}

const LONGEST_TIMER_MS = 2 ** 31 - 1;
const LEEWAY_S = 10;

export async function fetchToken(credentials: Credentials | null, forceRefresh: boolean): Promise<Token | undefined> {
  if (credentials === null) return undefined;
  if (typeof credentials === "object") return { type: "Admin", value: credentials.serviceKey };
  const value = typeof credentials === "string" ? credentials : await credentials({ forceRefresh });
  return value === null ? undefined : { type: "User", value };
}

/** Milliseconds after which a token should be fetched anew; undefined for one that does not say when it ends. */
export function refreshAfterMs(token: string): number | undefined {
  const { iat, exp } = claimsOf(token) ?? {};
  if (typeof iat !== "number" || typeof exp !== "number") return undefined;
  return Math.min(Math.max(exp - iat - LEEWAY_S, 1) * 1000, LONGEST_TIMER_MS);
}
