// What this hub serves, as `/dev/application` tells it: asked at the start, and again whenever somebody comes back to the page,
// since `hub dev` takes up new code while it runs.
import { useEffect, useState } from "react";

/** The part of JSON Schema that `hub dev` writes. */
export interface Schema {
  type?: string | string[];
  description?: string;
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema | false;
  prefixItems?: Schema[];
  additionalProperties?: Schema | false;
  anyOf?: Schema[];
  enum?: unknown[];
  const?: unknown;
  default?: unknown;
  $ref?: string;
  $defs?: Record<string, Schema>;
  "x-type"?: string;
  "x-table"?: string;
  "x-wire"?: "int64" | "bytes";
}

export interface FunctionInfo {
  name: string;
  kind: "query" | "mutation";
  /** Who may call it: anybody, whoever is known, or only the service key. */
  access: "public" | "known" | "internal";
  docs: string;
  args: Schema;
  returns: string;
}

export interface TableInfo {
  name: string;
  collection: string;
  docs: string;
  row: Schema;
  indexes: { fields: string[]; unique: boolean }[];
}

export interface Application {
  functions: FunctionInfo[];
  tables: TableInfo[];
}

export interface Served {
  /** What this hub has for its page: `tokens` to sign in with, an `assistant`. */
  has: string[];
  application: Application;
}

const CHAT = [
  "chats:create",
  "chats:get",
  "chats:page",
  "chats:remove",
  "chats:rename",
  "messages:page",
  "messages:send",
  "users:ensure",
];

/** Whether the application has the functions that the chat page calls. */
export function isChat(application: Application): boolean {
  const names = new Set(application.functions.map((each) => each.name));
  return CHAT.every((name) => names.has(name));
}

/** null until it is known; the last answer while the hub is away. */
export function useServed(): Served | null {
  const [served, setServed] = useState<Served | null>(null);
  useEffect(() => {
    let text = "";
    const ask = async () => {
      if (document.visibilityState === "hidden") return;
      const answer = await fetch("/dev/application").then((response) => response.text());
      if (answer !== text) setServed(JSON.parse(answer) as Served);
      text = answer;
    };
    const askQuietly = () => void ask().catch(() => undefined); // away for a moment: asked again when somebody comes back
    askQuietly();
    addEventListener("focus", askQuietly);
    document.addEventListener("visibilitychange", askQuietly);
    return () => {
      removeEventListener("focus", askQuietly);
      document.removeEventListener("visibilitychange", askQuietly);
    };
  }, []);
  return served;
}
