// A live query as somebody watches it: its value, what changed last, and what happened before.
import type { ConvexReactClient } from "convex/react";
import { makeFunctionReference } from "convex/server";
import type { Value } from "convex/values";
import { useEffect, useState } from "react";
import { changesBetween, type Change } from "./changes";

const EVENTS_KEPT = 50;

export interface Happening {
  number: number;
  at: number;
  changes: Change[];
}

export interface Watched {
  state: "waiting" | "value" | "error";
  value?: Value;
  error?: string;
  /** The newest first. */
  events: Happening[];
}

const WAITING: Watched = { state: "waiting", events: [] };

/** `args` must be the same object as long as the same is watched; null watches nothing. */
export function useWatched(client: ConvexReactClient, name: string, args: Record<string, Value> | null): Watched {
  const [watched, setWatched] = useState(WAITING);
  useEffect(() => {
    setWatched(WAITING);
    if (args === null) return;
    const watch = client.watchQuery(makeFunctionReference<"query">(name), args);
    const look = () => {
      try {
        const value = watch.localQueryResult() as Value | undefined;
        if (value !== undefined) setWatched((before) => afterValue(before, value));
      } catch (error) {
        setWatched((before) => ({ ...before, state: "error", error: (error as Error).message }));
      }
    };
    const end = watch.onUpdate(look);
    look();
    return end;
  }, [client, name, args]);
  return watched;
}

function afterValue(before: Watched, value: Value): Watched {
  if (before.value === undefined) return { state: "value", value, events: [] };
  const changes = changesBetween(before.value, value);
  if (changes.length === 0) return { ...before, state: "value", value };
  const happening = { number: (before.events[0]?.number ?? 0) + 1, at: Date.now(), changes };
  return { state: "value", value, events: [happening, ...before.events].slice(0, EVENTS_KEPT) };
}
