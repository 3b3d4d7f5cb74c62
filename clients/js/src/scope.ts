/**
 * Whose values these are: a deployment, and an issuer and subject in it, taken from the token's claims.
 *
 * The token is not verified here. The scope only keeps one person's values from being shown to another in the same browser; what
 * a token is worth, the hub decides.
 */

import type { Authenticate } from "./messages.js";

/** Text that stands for a person at a deployment; values are stored under it. Undefined: it cannot be told, so nothing is stored. */
export type Scope = string | undefined;

/** What the scopes of one deployment have in common. */
export function deploymentOf(socketUrl: string): string {
  const { host, pathname } = new URL(socketUrl);
  return `hub-client:${encodeURIComponent(host + pathname.replace(/\/+api\/([^/]+\/)?sync$/, ""))}:`;
}

/** The scope of callers that do not say who they are. */
export function anonymous(deployment: string): Scope {
  return `${deployment}anyone`;
}

export function scopeOf(deployment: string, message: Pick<Authenticate, "tokenType" | "value">): Scope {
  if (message.tokenType === "None") return anonymous(deployment);
  const claims = message.tokenType === "User" ? claimsOf(message.value ?? "") : undefined;
  if (typeof claims?.iss !== "string" || typeof claims.sub !== "string") return undefined;
  return `${deployment}${encodeURIComponent(claims.iss)}:${encodeURIComponent(claims.sub)}`;
}

/** The claims of a JSON web token; undefined if it is none. */
export function claimsOf(token: string): { iss?: unknown; sub?: unknown; iat?: unknown; exp?: unknown } | undefined {
  try {
    const payload = token.split(".")[1]!.replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(payload), (character) => character.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes)) as { iss?: unknown };
  } catch {
    return undefined;
  }
}
