// One chat: its head, its messages, and where to write. A room that is not shown keeps its queries, so that it can be shown at once.
import { usePaginatedQuery, useQuery } from "convex/react";
import { useCallback, useEffect, useRef, useState } from "react";
import { api } from "../_generated/api";
import type { Id } from "../_generated/dataModel";
import type { Connection } from "../parts/Connection";
import { tellToStop } from "./assistant";
import { Composer } from "./Composer";
import { Messages } from "./Messages";
import type { Begun } from "./NewChat";
import type { Replies } from "./replies";
import { RoomHead } from "./RoomHead";
import { isOptimistic, useSend, useStop, type Message } from "./sending";

const PAGE = 30;

interface Props {
  chatId: Id<"chats">;
  isShown: boolean;
  /** Of a room that was made just now. */
  begun: Begun | null;
  connection: Connection;
  /** null where this hub has no assistant. */
  replies: Replies | null;
  subject: string;
}

export function Room({ chatId, isShown, begun, connection, replies, subject }: Props) {
  const chat = useQuery(api.chats.get, { chatId });
  const { results, status, loadMore } = usePaginatedQuery(api.messages.page, { chatId }, { initialNumItems: PAGE });
  const send = useSend();
  const end = useStop();
  const offset = useRef(0); // how far from its end the room was left
  const newest = results[0];
  const waiting = replies?.waiting.get(chatId);
  const isWaiting = waiting?.state === "waiting" && (newest === undefined || newest.role === "user");

  const say = async (content: string) => {
    const clientMessageId = crypto.randomUUID();
    replies?.dismiss(chatId);
    await send({ chatId, userMessage: { content, clientMessageId } });
    replies?.request({ chatId, clientMessageId, content });
  };
  const streaming = newest?.role === "assistant" && newest.status === "streaming" ? newest : null;
  const stop = (reply: Message) => {
    if (replies !== null) void tellToStop(subject, chatId, reply._id);
    void end(reply);
  };
  const more = useCallback(() => loadMore(PAGE), [loadMore]);

  if (!isShown) return null;
  return (
    <section className="room" aria-label={chat?.title ?? "Chat"}>
      <RoomHead chat={chat ?? null} title={chat?.title ?? begun?.title ?? ""} />
      <Messages
        chatId={chatId}
        newestFirst={results}
        status={status}
        first={begun?.content ?? null}
        isWaiting={isWaiting}
        offset={offset}
        onMore={status === "CanLoadMore" ? more : null}
      />
      <div className="room-notes" aria-live="polite">
        {connection === "away" && <p className="note">The hub is away. What you send now is delivered when it is back.</p>}
        {waiting?.state === "failed" && (
          <p className="note">
            {waiting.reason}{" "}
            <button type="button" className="link" onClick={() => replies?.request(waiting.asked)}>
              Ask again
            </button>
          </p>
        )}
        {replies === null && newest?.role === "user" && !isOptimistic(newest) && (
          <p className="note">Nobody answers here: this hub was started without the assistant.</p>
        )}
      </div>
      <Composer
        draftKey={chatId}
        placeholder="Write a message"
        isAutoFocused
        onStop={streaming === null ? null : () => stop(streaming)}
        onSend={say}
      />
      <Announcer newest={newest} />
    </section>
  );
}

/** Tells a screen reader that a reply has begun, and the whole of it when it is there: not each of its words as they come. */
function Announcer({ newest }: { newest: Message | undefined }) {
  const [text, setText] = useState("");
  const followed = useRef<string>(null);
  useEffect(() => {
    if (newest?.role !== "assistant") return;
    if (newest.status === "streaming") {
      followed.current = newest._id;
      setText("The assistant is replying.");
    } else if (followed.current === newest._id) {
      followed.current = null;
      setText(`The assistant replied: ${newest.content}`);
    }
  }, [newest]);
  return (
    <div className="visually-hidden" role="status">
      {text}
    </div>
  );
}
