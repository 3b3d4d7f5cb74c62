// `hub-client` as applications use it, with the chat's generated types and without; what is wrong must not compile.

import { ConvexClient } from "convex/browser";
import { ConvexReactClient } from "convex/react";
import { ApplicationError, HubClient, hubTransport, indexedDbCache, sessionCache, type Value } from "hub-client";

import { api } from "../../../clients/js/web/src/_generated/api";
import type { Id } from "../../../clients/js/web/src/_generated/dataModel";

declare const chatId: Id<"chats">;

const transport = hubTransport({ cache: sessionCache({ entries: 10 }), kept: { entries: 5 } });
export const react = new ConvexReactClient("https://hub", { webSocketConstructor: transport });
export const plain = new ConvexClient("https://hub", { webSocketConstructor: hubTransport({ format: "json" }) });
transport.prefetch(api.messages.list, { chatId }, { ttlMs: 10_000 });
transport.prefetch("messages:list", { chatId });
// @ts-expect-error: an argument is missing
transport.prefetch(api.messages.list, {});
// @ts-expect-error: a mutation is not a query
transport.prefetch(api.messages.send, { chatId });

export async function everything(hub: HubClient): Promise<void> {
  const stop: () => void = hub.subscribe(api.messages.list, { chatId }, (messages, { isStale }) => {
    const contents: string[] = messages.map((message) => message.content);
    const stale: boolean = isStale;
    console.log(contents, stale);
  });
  stop();
  const { userMessageId }: { userMessageId: Id<"messages"> } = await hub.mutation(api.messages.send, { chatId, userMessage: { content: "" } });
  const chats = await hub.query(api.chats.list, {});
  const titles: string[] = chats.map((chat) => chat.title);
  const anything: Value = await hub.query("chats:list");
  await hub.mutation("chats:create", { title: "A chat", count: 5n, raw: new ArrayBuffer(2), left: undefined });
  console.log(userMessageId, titles, anything);

  // @ts-expect-error: a number is no chat
  hub.subscribe(api.messages.list, { chatId: 5 }, () => {});
  // @ts-expect-error: no such field
  hub.subscribe(api.messages.list, { chatId }, (messages) => messages.map((message) => message.colour));
  // @ts-expect-error: a query is not a mutation
  await hub.mutation(api.messages.list, { chatId });
  // @ts-expect-error: a Date is no value
  await hub.mutation("chats:create", { at: new Date() });
}

export const clients: HubClient[] = [
  new HubClient("https://hub"),
  new HubClient("https://hub", { auth: "token", cache: indexedDbCache() }),
  new HubClient("https://hub", { auth: async ({ forceRefresh }) => (forceRefresh ? null : "token") }),
  new HubClient("https://hub", { auth: { serviceKey: "key" } }),
];

export function told(error: unknown): Value | undefined {
  return error instanceof ApplicationError ? error.data : undefined;
}
