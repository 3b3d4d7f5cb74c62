// Which chats of this tab wait for a reply, and where asking for one failed. The reply itself is nobody's but the live query's.
import { useCallback, useMemo, useRef, useState } from "react";
import { ask, type Asked, NoReply } from "./assistant";

export type Waiting = { state: "waiting"; since: string } | { state: "failed"; reason: string; asked: Asked };

export interface Replies {
  /** By chat. */
  waiting: ReadonlyMap<string, Waiting>;
  request: (asked: Asked) => void;
  dismiss: (chatId: string) => void;
}

export function useReplies(subject: string): Replies {
  const [waiting, setWaiting] = useState<ReadonlyMap<string, Waiting>>(new Map());
  const asking = useRef(new Set<string>());

  const set = useCallback((chatId: string, state: Waiting | null) => {
    setWaiting((before) => {
      const after = new Map(before);
      if (state === null) after.delete(chatId);
      else after.set(chatId, state);
      return after;
    });
  }, []);

  const request = useCallback(
    (asked: Asked) => {
      const { chatId, clientMessageId } = asked;
      if (asking.current.has(clientMessageId)) return;
      asking.current.add(clientMessageId);
      set(chatId, { state: "waiting", since: clientMessageId });
      ask(subject, asked)
        .then(() => set(chatId, null))
        .catch((error: unknown) => {
          const reason = error instanceof NoReply ? error.message : "Something went wrong.";
          set(chatId, { state: "failed", reason, asked });
        })
        .finally(() => asking.current.delete(clientMessageId));
    },
    [subject, set],
  );
  const dismiss = useCallback((chatId: string) => set(chatId, null), [set]);
  return useMemo(() => ({ waiting, request, dismiss }), [waiting, request, dismiss]);
}
