// Mutations of the chat with what they look like before the hub has answered: the screen changes at once, and is put right, or back,
// in the same step in which the hub's own rows arrive.
import type { OptimisticLocalStore } from "convex/browser";
import { insertAtTop, optimisticallyUpdateValueInPaginatedQuery, useMutation } from "convex/react";
import { api } from "../_generated/api";
import type { Doc, Id } from "../_generated/dataModel";

export type Chat = Doc<"chats">;
export type Message = Doc<"messages">;

const OPTIMISTIC = "optimistic:";

/** Whether the hub has not confirmed the message yet. */
export function isOptimistic(message: Message): boolean {
  return message._id.startsWith(OPTIMISTIC);
}

/** What stays the same when the hub's own row takes the place of the optimistic one. */
export function keyOf(message: Message): string {
  return message.clientMessageId ?? message._id;
}

export function useSend() {
  return useMutation(api.messages.send).withOptimisticUpdate((store, { chatId, userMessage }) => {
    const chat = chatIn(store, chatId);
    const now = Date.now();
    const clientMessageId = userMessage.clientMessageId ?? "";
    const item: Message = {
      _id: `${OPTIMISTIC}${clientMessageId}` as Id<"messages">,
      _creationTime: now,
      chatId,
      userId: chat?.userId ?? ("" as Id<"users">),
      role: "user",
      content: userMessage.content,
      status: "complete",
      clientMessageId,
      createdAt: now,
      updatedAt: now,
    };
    const isThere = messagesIn(store, chatId).some((message) => message.clientMessageId === clientMessageId);
    if (!isThere) insertAtTop({ paginatedQuery: api.messages.page, argsToMatch: { chatId }, localQueryStore: store, item });
    if (chat !== undefined) moveToTop(store, { ...chat, updatedAt: now, lastMessageAt: now });
  });
}

export function useRename() {
  return useMutation(api.chats.rename).withOptimisticUpdate((store, { chatId, title }) => {
    const chat = chatIn(store, chatId);
    if (chat === undefined) return;
    const renamed = { ...chat, title, updatedAt: Date.now() };
    moveToTop(store, renamed);
    if (store.getQuery(api.chats.get, { chatId }) !== undefined) store.setQuery(api.chats.get, { chatId }, renamed);
  });
}

export function useRemove() {
  return useMutation(api.chats.remove).withOptimisticUpdate((store, { chatId }) => editPages(store, (rows) => without(rows, chatId)));
}

/** Ends a reply with what there is of it. Whoever still writes it learns so from the answer to their next words. */
export function useStop() {
  const end = useMutation(api.messages.streamUpsert).withOptimisticUpdate((store, { chatId, messageId }) => {
    optimisticallyUpdateValueInPaginatedQuery(store, api.messages.page, { chatId }, (message): Message =>
      message._id === messageId ? { ...message, status: "complete" } : message,
    );
  });
  return ({ chatId, _id }: Message) => end({ chatId, messageId: _id, role: "assistant", delta: "", offset: 0, status: "complete" });
}

function moveToTop(store: OptimisticLocalStore, chat: Chat): void {
  editPages(store, (rows, isFirst) => (isFirst ? [chat, ...without(rows, chat._id)] : without(rows, chat._id)));
}

function without(rows: Chat[], chatId: Id<"chats">): Chat[] {
  return rows.filter((row) => row._id !== chatId);
}

function chatIn(store: OptimisticLocalStore, chatId: Id<"chats">): Chat | undefined {
  for (const { value } of store.getAllQueries(api.chats.page)) {
    const found = value?.page.find((row) => row._id === chatId);
    if (found !== undefined) return found;
  }
  return store.getQuery(api.chats.get, { chatId });
}

function messagesIn(store: OptimisticLocalStore, chatId: Id<"chats">): Message[] {
  return store.getAllQueries(api.messages.page).flatMap(({ args, value }) => (args.chatId === chatId ? (value?.page ?? []) : []));
}

/** The side bar's pages, each changed by itself; the one without a cursor is the first. */
function editPages(store: OptimisticLocalStore, edit: (rows: Chat[], isFirst: boolean) => Chat[]): void {
  for (const { args, value } of store.getAllQueries(api.chats.page)) {
    if (value === undefined) continue;
    const page = edit(value.page, args.paginationOpts.cursor === null);
    store.setQuery(api.chats.page, args, { ...value, page });
  }
}
