/** What calls and subscriptions of `HubClient` end with. Every one is a `HubError` with a `code` for programs. */

import type { Value } from "./values.js";

export class HubError extends Error {
  override readonly name: string = "HubError";

  constructor(
    message: string,
    /** A word that stays the same when the message is rewritten. */
    readonly code: string,
  ) {
    super(message);
  }
}

/** A function said no with data of its own: what `ApplicationError` carries on the server. */
export class ApplicationError<Data extends Value = Value> extends HubError {
  override readonly name = "ApplicationError";

  constructor(
    message: string,
    readonly data: Data,
  ) {
    super(message, "ApplicationError");
  }
}

/** The error of a failed result: with data if the application gave some. */
export function failure(message: string, data: unknown): HubError {
  return data === undefined ? new HubError(message, "FunctionFailed") : new ApplicationError(message, data as Value);
}
