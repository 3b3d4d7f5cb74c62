// Which rooms are kept live although they are not on the screen: those that were just left, and the one under the pointer. Showing
// one of them needs nothing from the hub, so that a switch is one paint.
import { useCallback, useEffect, useRef, useState } from "react";

const MOST = 5;
const HOVER_MS = 60;
const KEPT_MS = 30_000;

export interface WarmRooms {
  rooms: readonly string[];
  /** A pointer or the focus has come to a chat: if it stays for a moment, its room is made ready. */
  approach: (chatId: string) => void;
  leave: () => void;
}

export function useWarmRooms(shown: string | null): WarmRooms {
  const [rooms, setRooms] = useState<readonly string[]>([]);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);

  const warm = useCallback((chatId: string) => setRooms((before) => [chatId, ...before.filter((id) => id !== chatId)].slice(0, MOST)), []);
  useEffect(() => {
    if (shown !== null) warm(shown);
    // what nobody came back to for a while is let go, all at once: then only what is shown is left
    const later = setInterval(() => setRooms((before) => (shown === null ? [] : before.filter((id) => id === shown))), KEPT_MS);
    return () => clearInterval(later);
  }, [shown, warm]);
  useEffect(() => () => clearTimeout(timer.current), []);

  const approach = useCallback(
    (chatId: string) => {
      clearTimeout(timer.current);
      timer.current = setTimeout(() => warm(chatId), HOVER_MS);
    },
    [warm],
  );
  const leave = useCallback(() => clearTimeout(timer.current), []);
  // the one that is shown is in it from its first render on
  const all = shown === null || rooms.includes(shown) ? rooms : [shown, ...rooms].slice(0, MOST);
  return { rooms: all, approach, leave };
}
