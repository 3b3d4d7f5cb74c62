// What each Python type is in TypeScript, exactly.

import { usePaginatedQuery } from "convex/react";
import type { PaginationOptions, PaginationResult } from "convex/server";

import { api, internal } from "./_generated/api";
import type { DataModel, Doc, Id } from "./_generated/dataModel";
import type { MutationCtx } from "./_generated/server";
import type { Colour, Counted, Measured, MeasuredInput, Place, PlaceInput, Summary } from "./_generated/types";
import type { Equal, Expect, Returns, Takes } from "../expect";

type None = Record<string, never>;
type Things = typeof api.things;

export type Results = Expect<[
  Returns<Things["boxes"], [{ content: number }, { content?: Place }]>,
  Returns<Things["corners"], Array<[number, string | null]>>,
  Returns<Things["counted"], { howMany: number; firstOne?: string; lastOne?: string } | null>,
  Returns<Things["default"], Array<"x" | "y">>,
  Returns<Things["maybe"], Record<string, Doc<"things">[] | null>>,
  Returns<Things["page"], PaginationResult<Doc<"things">>>,
  Returns<
    Things["scalars"],
    [boolean, number, bigint, number, string, ArrayBuffer, number, string, Id<"things">, "red" | "blue", 1 | 2, number, null]
  >,
  Returns<Things["summary"], { thingCount: number; newestName?: string }>,
  Returns<typeof api.admin.reports, null>,
  Returns<typeof api.admin.reports.publicOne, { lineCount: number }>,
  Returns<typeof internal.admin.reports.latest, { lineCount: number }>,
]>;

export type Arguments = Expect<[
  Takes<Things["counted"], None>,
  Takes<Things["page"], { paginationOpts: PaginationOptions; colour?: Colour | null }>,
  Takes<Things["measured"], { given?: { sideLength: number; note?: string; secret?: string } | null }>,
  Takes<
    Things["everything"],
    {
      flag: boolean;
      number: number;
      serial: bigint;
      text: string;
      data: ArrayBuffer;
      moment: number;
      foreign: string;
      ownerId: Id<"owners">;
      colour: "red" | "blue";
      place: PlaceInput;
      nullable: string | null;
      size?: 1 | 2;
      mode?: "a" | "b" | null;
      names?: string[] | null;
      pairs?: [string, number][];
      byColour?: { red?: number; blue?: number } | null;
      weights?: Record<string, number | null> | null;
      byOwner?: Record<Id<"owners">, number> | null;
      limit?: number;
      anything?: any;
      from?: string | null;
    }
  >,
  Takes<typeof internal.admin.remove, { thingId: Id<"things"> }>,
]>;

export type Objects = Expect<[
  Equal<Place, { streetName: string; houseNumber?: number; inside?: Place }>,
  Equal<PlaceInput, { streetName: string; houseNumber?: number | null; inside?: PlaceInput | null }>,
  Equal<keyof Measured, "sideLength" | "note" | "wholeArea">,
  Equal<keyof MeasuredInput, "sideLength" | "note" | "secret">,
  Equal<Counted["lastOne"], string | undefined>,
  Equal<Summary["newestName"], string | undefined>,
]>;

export type Rows = Expect<[
  Equal<Doc<"owners">, { _id: Id<"owners">; _creationTime: number; fullName: string }>,
  Equal<Doc<"things">["state"], "new" | "used" | 3 | true>,
  Equal<Doc<"things">["either"], number | string | undefined>,
  Equal<Doc<"things">["gaps"], Array<number | null>>,
  Equal<Doc<"things">["position"], [number, number]>,
  Equal<DataModel["things"]["indexes"]["by_ownerId_madeAt"], ["ownerId", "madeAt"]>,
]>;

export async function paths(ctx: MutationCtx): Promise<string | undefined> {
  const inside = await ctx.db.query("things").filter((q) => q.eq(q.field("place.inside.streetName"), "Main")).first();
  return inside?.place.inside?.streetName;
}

export function Parts(): number {
  const { results } = usePaginatedQuery(api.things.pageOfParts, {}, { initialNumItems: 3 });
  // @ts-expect-error: an internal function is in no public module
  void api.admin.remove;
  return results.map((part) => part.content.length)[0] ?? 0;
}
