// Values as text and back: what somebody types as an argument, and what a function returned.
import { convexToJson, jsonToConvex, type Value } from "convex/values";
import type { Schema } from "../application";

export type Drafts = Readonly<Record<string, string>>;
export type Parsed = { args: Record<string, Value> } | { mistakes: Record<string, string> };
export type Control = { kind: "text" | "number" | "json" } | { kind: "choice"; choices: unknown[] };

/** What to type an argument into. One that may be null is given as null by a field for JSON only: elsewhere it is left out. */
export function controlOf(schema: Schema, root: Schema): Control {
  const found = withoutNull(resolved(schema, root), root);
  if (found.enum !== undefined) return { kind: "choice", choices: found.enum };
  if (found.const !== undefined) return { kind: "choice", choices: [found.const] };
  if (found.type === "boolean") return { kind: "choice", choices: [true, false] };
  if (found.type === "number") return { kind: "number" };
  if (found.type === "string" && found["x-wire"] !== "bytes") return { kind: "text" };
  return { kind: "json" };
}

/** The fields of an object that has a name, as TypeScript spells them; null for anything else. */
export function shapeOf(schema: Schema, root: Schema): string | null {
  const found = withoutNull(resolved(schema, root), root);
  if (found === schema || found.properties === undefined) return null;
  const required = new Set(found.required ?? []);
  const fields = Object.entries(found.properties).map(([name, field]) => `${name}${required.has(name) ? "" : "?"}: ${field["x-type"] ?? "any"}`);
  return `{ ${fields.join("; ")} }`;
}

/** What to begin with: the shape of what is required. */
export function firstDraft(schema: Schema, root: Schema): string {
  return controlOf(schema, root).kind === "json" ? JSON.stringify(sample(schema, root), null, 2) : "";
}

export function parseArguments(schema: Schema, drafts: Drafts): Parsed {
  const required = new Set(schema.required ?? []);
  const args: Record<string, Value> = {};
  const mistakes: Record<string, string> = {};
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const text = drafts[name] ?? "";
    const control = controlOf(property, schema);
    if (text.trim() === "" && !required.has(name)) continue;
    try {
      if (text.trim() === "" && control.kind !== "text") throw new Error("is needed");
      args[name] = parsed(text, control, withoutNull(resolved(property, schema), schema));
    } catch (error) {
      mistakes[name] = error instanceof SyntaxError ? `is no JSON: ${error.message}` : (error as Error).message;
    }
  }
  return Object.keys(mistakes).length > 0 ? { mistakes } : { args };
}

function parsed(text: string, control: Control, schema: Schema): Value {
  if (schema["x-wire"] === "int64") {
    if (!/^-?\d+$/.test(text.trim())) throw new Error("must be a whole number");
    return BigInt(text.trim());
  }
  switch (control.kind) {
    case "text":
      return text;
    case "number": {
      const number = Number(text);
      if (Number.isNaN(number) && text.trim() !== "NaN") throw new Error("must be a number");
      return number;
    }
    case "choice":
    case "json":
      return jsonToConvex(JSON.parse(text));
  }
}

function resolved(schema: Schema, root: Schema): Schema {
  const name = schema.$ref?.replace("#/$defs/", "");
  return name === undefined ? schema : (root.$defs?.[name] ?? {});
}

/** The one form beside null; a choice of several is typed as JSON. */
function withoutNull(schema: Schema, root: Schema): Schema {
  const others = schema.anyOf?.filter((each) => each.type !== "null") ?? [];
  return others.length === 1 && others[0] !== undefined ? resolved(others[0], root) : schema;
}

const DEEPEST = 6;

function sample(schema: Schema, root: Schema, depth = 0): unknown {
  const found = withoutNull(resolved(schema, root), root);
  if (found.default !== undefined) return found.default;
  if (found.const !== undefined) return found.const;
  if (found.enum !== undefined) return found.enum[0];
  if (depth > DEEPEST) return null;
  if (found["x-wire"] === "int64") return { $integer: "AAAAAAAAAAA=" };
  if (found["x-wire"] === "bytes") return { $bytes: "" };
  switch (found.type) {
    case "string":
      return "";
    case "number":
      return 0;
    case "boolean":
      return false;
    case "array":
      return (found.prefixItems ?? []).map((item) => sample(item, root, depth + 1));
    case "object":
      return Object.fromEntries((found.required ?? []).map((name) => [name, sample(found.properties?.[name] ?? {}, root, depth + 1)]));
    default:
      return null;
  }
}

/** A value on one line, as it would be written in JavaScript. */
export function brief(value: Value | undefined, most = 120): string {
  const text = written(value);
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}

function written(value: Value | undefined): string {
  if (value === undefined) return "undefined";
  if (typeof value === "bigint") return `${value}n`;
  if (value instanceof ArrayBuffer) return `bytes(${value.byteLength})`;
  if (Array.isArray(value)) return `[${value.map(written).join(", ")}]`;
  if (value !== null && typeof value === "object") {
    const fields = Object.entries(value).map(([key, field]) => `${key}: ${written(field)}`);
    return fields.length === 0 ? "{}" : `{ ${fields.join(", ")} }`;
  }
  return typeof value === "number" && Object.is(value, -0) ? "-0" : typeof value === "number" ? String(value) : JSON.stringify(value);
}

/** For copying into a terminal. */
export function asJson(args: Record<string, Value>): string {
  return JSON.stringify(convexToJson(args));
}
