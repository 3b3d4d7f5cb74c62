// What must not compile: each line that is marked has one mistake, and tsc complains of a mark without one.

import { ConvexClient } from "convex/browser";
import { useMutation, usePaginatedQuery, useQuery } from "convex/react";

import { api, internal } from "../../../../clients/js/web/src/_generated/api";
import type { Doc, Id } from "../../../../clients/js/web/src/_generated/dataModel";

export function Mistakes({ chatId, userId, client }: { chatId: Id<"chats">; userId: Id<"users">; client: ConvexClient }) {
  // @ts-expect-error: no such function
  useQuery(api.chats.search, {});
  // @ts-expect-error: no such module
  useQuery(api.rooms.list, {});
  // @ts-expect-error: a mutation is no query
  useQuery(api.chats.create, { title: "A chat" });
  // @ts-expect-error: a query is no mutation
  useMutation(api.chats.list);
  // @ts-expect-error: not paginated
  usePaginatedQuery(api.chats.list, {}, { initialNumItems: 1 });
  // @ts-expect-error: the argument is missing
  useQuery(api.chats.get, {});
  // @ts-expect-error: the id of another table
  useQuery(api.chats.get, { chatId: userId });
  // @ts-expect-error: any string is no id
  useQuery(api.chats.get, { chatId: "chat" });
  // @ts-expect-error: an unknown argument
  useQuery(api.chats.list, { limits: 1 });
  // @ts-expect-error: a number, not text
  useQuery(api.chats.list, { limit: "1" });
  // @ts-expect-error: an optional argument that is not nullable
  useQuery(api.chats.list, { limit: null });
  // @ts-expect-error: none of the choices
  usePaginatedQuery(api.messages.page, { chatId, order: "up" }, { initialNumItems: 1 });
  // @ts-expect-error: it takes no arguments
  useQuery(api.users.me, { userId });
  // @ts-expect-error: it takes no arguments, here neither
  void client.query(api.users.me, { userId });
  // @ts-expect-error: a field of the nested object is missing
  void client.mutation(api.messages.send, { chatId, userMessage: {} });
  // @ts-expect-error: the nested object has no such field
  void client.mutation(api.messages.send, { chatId, userMessage: { content: "Hi", text: "Hi" } });
  // @ts-expect-error: there is no internal function
  void internal.chats;

  const chats: Doc<"chats">[] = useQuery(api.chats.list, {}) ?? [];
  // @ts-expect-error: a row has no such field
  chats[0]?.name;
  // @ts-expect-error: a field that may be left out
  chats[0]?.lastMessageAt.toFixed();
  // @ts-expect-error: null for a user without a row
  const me: Doc<"users"> | undefined = useQuery(api.users.me);
  // @ts-expect-error: rows of another table
  const messages: Doc<"messages">[] = chats;
  return messages.length + (me ? 1 : 0);
}
