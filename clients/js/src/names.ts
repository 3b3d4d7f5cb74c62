/** What a query is called: its function's path in canonical form, and the key that stands for path and arguments. */

import type { Json, Value } from "./values.js";

/** A reference to a function as `api.messages.list` of generated code is one; only its types and its name are looked at. */
export interface FunctionReference<Type extends "query" | "mutation" = "query" | "mutation", Args = never, Result = unknown> {
  readonly _type: Type;
  readonly _args: Args;
  readonly _returnType: Result;
}

/** Arguments by name. */
export type Args = { readonly [name: string]: Value | undefined };

const NAME = Symbol.for("functionName");

/** `messages:list`, whether that was given or a reference to it; `messages` becomes `messages:default`. */
export function pathOf(name: string | object): string {
  const given = typeof name === "string" ? name : (name as { [NAME]?: unknown })[NAME];
  if (typeof given !== "string") throw new TypeError("not the name of a function, nor a reference to one");
  const colon = given.lastIndexOf(":");
  const [module, member] = colon < 0 ? [given, "default"] : [given.slice(0, colon), given.slice(colon + 1)];
  return `${module.replace(/\.js$/, "")}:${member}`;
}

function sorted(json: unknown): unknown {
  if (Array.isArray(json)) return json.map(sorted);
  if (json === null || typeof json !== "object") return json;
  const keys = Object.keys(json).sort();
  return Object.fromEntries(keys.map((key) => [key, sorted((json as Record<string, unknown>)[key])]));
}

/** The same for the same query, whoever asks and in whatever order the arguments were written. `args` is in stock form. */
export function queryKey(path: string, args: Json, component?: string): string {
  return JSON.stringify([path, sorted(args), ...(component ? [component] : [])]);
}
