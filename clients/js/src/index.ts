/** The public names of `hub-client`. */

export { indexedDbCache, sessionCache, type CacheLimits, type ValueCache } from "./cache.js";
export { HubClient, type ConnectionState, type HubClientOptions, type ValueInfo } from "./client.js";
export type { Credentials, TokenFetcher } from "./credentials.js";
export { ApplicationError, HubError } from "./errors.js";
export type { Args, FunctionReference } from "./names.js";
export { hubTransport, type HubTransport, type PrefetchOptions, type TransportOptions } from "./transport.js";
export type { Json, Value } from "./values.js";
