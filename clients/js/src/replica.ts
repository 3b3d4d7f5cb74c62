/**
 * The values of one socket's queries, kept true by its transitions.
 *
 * Both sides know what was sent on this socket: that is what an edit is made against. A transition that does not start where
 * the one before it ended means that a frame was lost; nothing after it can be understood, and the socket must be closed.
 */

import { apply } from "./edits.js";
import { ZERO, type Modification, type QueryPatched, type Transition, type Version } from "./messages.js";

/** A transition that does not follow the one before it. */
export class LostFrame extends Error {
  override name = "LostFrame";
}

export class Replica {
  /** Where the last transition led. */
  version: Version = ZERO;
  readonly #values = new Map<number, unknown>();
  readonly #offers = new Map<number, readonly unknown[]>();

  /** Notes which values were offered with a query that is being added; its first result may build on one of them. */
  offered(queryId: number, values: readonly unknown[]): void {
    if (values.length > 0) this.#offers.set(queryId, values);
  }

  /** The last value that was sent for a query, through failures since; undefined if there was none. */
  value(queryId: number): unknown {
    return this.#values.get(queryId);
  }

  /** The transition with every value whole. Throws LostFrame, or BadEdit; the replica is then of no more use. */
  receive(transition: Transition): Transition<Modification> {
    const { startVersion: start, endVersion: end } = transition;
    const { querySet, identity, ts } = this.version;
    if (start.querySet !== querySet || start.identity !== identity || start.ts !== ts) {
      throw new LostFrame("a transition does not start where the last one ended");
    }
    const modifications = transition.modifications.map((modification) => this.#whole(modification));
    this.version = end;
    return { ...transition, modifications };
  }

  #whole(modification: Modification | QueryPatched): Modification {
    const { queryId } = modification;
    const offers = this.#offers.get(queryId);
    this.#offers.delete(queryId);
    switch (modification.type) {
      case "QueryRemoved":
        this.#values.delete(queryId);
        return modification;
      case "QueryUpdated":
        this.#values.set(queryId, modification.value);
        return modification;
      case "QueryFailed":
        return modification;
      case "QueryPatched": {
        const { held, edit, ...rest } = modification;
        const base = held === undefined ? this.#values.get(queryId) : offers?.[held];
        if (base === undefined) throw new LostFrame("an edit of a value that is not held");
        const value = edit === null ? base : apply(base, edit);
        this.#values.set(queryId, value);
        return { ...rest, type: "QueryUpdated", value };
      }
    }
  }
}
