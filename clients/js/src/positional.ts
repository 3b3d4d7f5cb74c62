/** Transitions as the native formats write them: lists instead of objects, because they are what is sent most. */

import type { Edit } from "./edits.js";
import { BadFrame } from "./formats.js";
import type { Modification, QueryPatched, Transition, Version } from "./messages.js";

type Journal = string | null;

/** `[1, start, end, modifications]` as a Transition. `ts` reads a timestamp, `read` a value or an edit. */
export function readTransition(frame: readonly unknown[], ts: (raw: unknown) => string, read: (raw: unknown) => unknown): Transition {
  const [kind, start, end, modifications] = frame;
  if (kind !== 1 || !Array.isArray(modifications)) throw new BadFrame(`a frame of unknown kind: ${String(kind)}`);
  return {
    type: "Transition",
    startVersion: readVersion(start, ts),
    endVersion: readVersion(end, ts),
    modifications: modifications.map((modification: readonly unknown[]) => readModification(modification, read)),
  };
}

function readVersion(raw: unknown, ts: (raw: unknown) => string): Version {
  const [querySet, identity, at] = raw as [number, number, unknown];
  return { querySet, identity, ts: ts(at) };
}

function readModification(raw: readonly unknown[], read: (raw: unknown) => unknown): Modification | QueryPatched {
  const queryId = raw[1] as number;
  switch (raw[0]) {
    case 0:
      return { type: "QueryRemoved", queryId };
    case 1:
      return { type: "QueryUpdated", queryId, value: read(raw[2]), ...annotations(raw, 3) };
    case 2:
      return { type: "QueryPatched", queryId, edit: read(raw[2]) as Edit, ...annotations(raw, 3) };
    case 3: {
      const failed = { type: "QueryFailed", queryId, errorMessage: raw[2] as string, ...annotations(raw, 3) } as const;
      return raw.length > 5 ? { ...failed, errorData: read(raw[5]) } : failed;
    }
    case 4:
      return { type: "QueryPatched", queryId, held: raw[2] as number, edit: read(raw[3]) as Edit | null, ...annotations(raw, 4) };
    default:
      throw new BadFrame(`a modification of unknown kind: ${String(raw[0])}`);
  }
}

/** Journal and log lines from index `at` on. A journal that is absent stays as it was. */
function annotations(raw: readonly unknown[], at: number): { journal?: Journal; logLines: readonly string[] } {
  const logLines = (raw[at + 1] as readonly string[] | null | undefined) ?? [];
  return raw.length > at ? { journal: raw[at] as Journal, logLines } : { logLines };
}
