// A client of the chat application: every function, through each of the ways in which a page calls it.

import { ConvexClient, ConvexHttpClient } from "convex/browser";
import { useMutation, usePaginatedQuery, useQuery } from "convex/react";
import { anyApi } from "convex/server";

import { api } from "../../../../clients/js/web/src/_generated/api";
import type { Doc, Id, TableNames } from "../../../../clients/js/web/src/_generated/dataModel";
import type { QueryCtx } from "../../../../clients/js/web/src/_generated/server";
import type { Removed, UserMessage } from "../../../../clients/js/web/src/_generated/types";
import type { Equal, Expect, Returns } from "../expect";

export type Claims = Expect<
  [
    Equal<TableNames, "chats" | "messages" | "users">,
    Returns<typeof api.chats.rename, null>,
    Returns<typeof api.chats.remove, Removed>,
  ]
>;

export function SideBar() {
  const me: Doc<"users"> | null | undefined = useQuery(api.users.me);
  const chats = useQuery(api.chats.list, me ? { limit: 20 } : "skip");
  const paged = usePaginatedQuery(api.chats.page, {}, { initialNumItems: 10 });
  const create = useMutation(api.chats.create);
  const ensure = useMutation(api.users.ensure);
  const open = async (title: string): Promise<Id<"chats">> => {
    await ensure({ externalId: me?.externalId ?? "ada", email: null });
    return (await create({ title })).chatId;
  };
  const titles: string[] = [...(chats ?? []), ...paged.results].map((chat) => chat.title);
  const spoken: (number | undefined)[] = paged.results.map((chat) => chat.lastMessageAt);
  return <button onClick={() => void open("A chat")}>{titles.length + spoken.length}</button>;
}

export function Room({ chatId }: { chatId: Id<"chats"> }) {
  const chat = useQuery(api.chats.get, { chatId });
  const all = useQuery(api.messages.list, { chatId, userId: null });
  const { results, status, loadMore } = usePaginatedQuery(api.messages.page, { chatId, order: "asc" }, { initialNumItems: 30 });
  const rename = useMutation(api.chats.rename);
  const remove = useMutation(api.chats.remove);
  const upsert = useMutation(api.messages.streamUpsert);
  const send = useMutation(api.messages.send).withOptimisticUpdate((store, { userMessage }) => {
    const shown = store.getQuery(api.messages.list, { chatId, userId: null });
    if (shown?.[0]) store.setQuery(api.messages.list, { chatId, userId: null }, [{ ...shown[0], content: userMessage.content }]);
  });
  const say = async (userMessage: UserMessage) => {
    const { userMessageId, assistantMessageId } = await send({ chatId, userMessage, assistantMessage: { content: "" } });
    const messageId: Id<"messages"> = assistantMessageId ?? userMessageId;
    await upsert({ chatId, messageId, role: "assistant", content: "Hello", status: "complete" });
    await rename({ chatId, title: "Renamed" });
    const { done, removed }: Removed = await remove({ chatId });
    return done ? removed : 0;
  };
  const roles = new Set<"user" | "assistant" | "system">(results.map((message) => message.role));
  if (status === "CanLoadMore") loadMore(30);
  return <p onClick={() => void say({ content: "Hi" })}>{`${chat?.title} ${roles.size} ${all?.[0]?.clientMessageId}`}</p>;
}

export async function outsideOfReact(address: string): Promise<string[]> {
  const client = new ConvexClient(address);
  const stop = client.onUpdate(api.chats.list, {}, (chats) => console.log(chats[0]?.updatedAt.toFixed()));
  const { userId } = await client.mutation(api.users.ensure, { externalId: "ada" });
  const { chatId } = await client.mutation(api.chats.create, { title: "A chat", userId });
  stop();
  const page = await new ConvexHttpClient(address).query(api.messages.page, {
    chatId,
    paginationOpts: { numItems: 5, cursor: null },
  });
  return page.isDone ? page.page.map((message) => message.content) : [page.continueCursor];
}

export async function onAServer(ctx: QueryCtx, id: Id<"chats">): Promise<Doc<"messages">[]> {
  const chat: Doc<"chats"> | null = await ctx.db.get(id);
  return chat === null
    ? []
    : await ctx.db.query("messages").withIndex("by_chatId_createdAt_id", (q) => q.eq("chatId", chat._id)).collect();
}

export const untyped = anyApi;
