/**
 * The messages of the protocol, as this package handles them whatever the wire format: field names of the stock protocol,
 * timestamps in base64. Values are in stock form under the convex client and native under `HubClient`.
 */

import type { Edit } from "./edits.js";

/** Where one side of a session stands. `querySet` and `identity` count per socket, `ts` is the snapshot shown. */
export interface Version {
  readonly querySet: number;
  readonly identity: number;
  readonly ts: string;
}

export const ZERO: Version = { querySet: 0, identity: 0, ts: "AAAAAAAAAAA=" };

// --- client to server ------------------------------------------------------------------------------------------------

export interface Connect {
  readonly type: "Connect";
  readonly sessionId: string;
  readonly connectionCount: number;
  readonly lastCloseReason: string | null;
  readonly maxObservedTimestamp?: string | undefined;
}

/** `held`: digests of values of this query that the client still has, best first. */
export interface AddQuery {
  readonly type: "Add";
  readonly queryId: number;
  readonly udfPath: string;
  readonly args: readonly unknown[];
  readonly journal?: string | null | undefined;
  readonly componentPath?: string | undefined;
  readonly held?: readonly Uint8Array[];
}

export interface RemoveQuery {
  readonly type: "Remove";
  readonly queryId: number;
}

export interface ModifyQuerySet {
  readonly type: "ModifyQuerySet";
  readonly baseVersion: number;
  readonly newVersion: number;
  readonly modifications: readonly (AddQuery | RemoveQuery)[];
}

export interface Authenticate {
  readonly type: "Authenticate";
  readonly baseVersion: number;
  readonly tokenType: "None" | "User" | "Admin";
  readonly value?: string;
}

export interface Call {
  readonly type: "Mutation" | "Action";
  readonly requestId: number;
  readonly udfPath: string;
  readonly args: readonly unknown[];
}

export interface ClientEvent {
  readonly type: "Event";
}

export type ClientMessage = Connect | ModifyQuerySet | Authenticate | Call | ClientEvent;

// --- server to client ------------------------------------------------------------------------------------------------

export interface QueryUpdated {
  readonly type: "QueryUpdated";
  readonly queryId: number;
  readonly value: unknown;
  readonly journal?: string | null | undefined;
  readonly logLines: readonly string[];
}

/** An edit against the value last sent, or, with `held`, against one that was offered; null changes nothing. */
export interface QueryPatched {
  readonly type: "QueryPatched";
  readonly queryId: number;
  readonly held?: number;
  readonly edit: Edit | null;
  readonly journal?: string | null | undefined;
  readonly logLines: readonly string[];
}

export interface QueryFailed {
  readonly type: "QueryFailed";
  readonly queryId: number;
  readonly errorMessage: string;
  readonly errorData?: unknown;
  readonly journal?: string | null | undefined;
  readonly logLines: readonly string[];
}

export interface QueryRemoved {
  readonly type: "QueryRemoved";
  readonly queryId: number;
}

/** What the stock protocol knows: values are whole. */
export type Modification = QueryUpdated | QueryFailed | QueryRemoved;

export interface Transition<M = Modification | QueryPatched> {
  readonly type: "Transition";
  readonly startVersion: Version;
  readonly endVersion: Version;
  readonly modifications: readonly M[];
}

export interface CallResponse {
  readonly type: "MutationResponse" | "ActionResponse";
  readonly requestId: number;
  readonly success: boolean;
  readonly result: unknown;
  readonly errorData?: unknown;
  readonly ts?: string | null;
  readonly logLines: readonly string[];
}

export interface AuthError {
  readonly type: "AuthError";
  readonly error: string;
  readonly baseVersion?: number;
  readonly authUpdateAttempted?: boolean;
}

export interface FatalError {
  readonly type: "FatalError";
  readonly error: string;
}

export interface Ping {
  readonly type: "Ping";
}

export type ServerMessage<M = Modification | QueryPatched> = Transition<M> | CallResponse | AuthError | FatalError | Ping;
