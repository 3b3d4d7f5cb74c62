// The messages of a room, oldest on top, in a box that stays where somebody reads: at the end while it grows, or at the line they
// scrolled back to while older pages come in above it.
import type { PaginationStatus } from "convex/react";
import { useCallback, useLayoutEffect, useRef, useState, type RefObject } from "react";
import { DownIcon } from "../parts/icons";
import { useEdge } from "../parts/edge";
import { MessageView, Said, Thinking } from "./MessageView";
import { isOptimistic, keyOf, type Message } from "./sending";

const AT_END_PX = 48;

interface Props {
  chatId: string;
  newestFirst: Message[];
  status: PaginationStatus;
  /** What was said first, in a chat that was made just now. */
  first: string | null;
  isWaiting: boolean;
  /** Pixels between the end of the messages and the lower edge of the box; kept by the room while it is not shown. */
  offset: RefObject<number>;
  onMore: (() => void) | null;
}

export function Messages({ chatId, newestFirst, status, first, isWaiting, offset, onMore }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const edge = useEdge(onMore);
  const [isAtEnd, setIsAtEnd] = useState(offset.current < AT_END_PX);
  const messages = newestFirst.toReversed();
  const last = messages.at(-1);

  // Everything is measured from the end: rows that come in above it move nothing, and at the end it stays at the end.
  const settle = useCallback(() => {
    const element = box.current;
    if (element === null) return;
    const top = element.scrollHeight - element.clientHeight - offset.current;
    if (Math.abs(element.scrollTop - top) > 1) element.scrollTop = top;
  }, [offset]);
  const before = useRef({ height: 0, view: 0, oldest: "", newest: "" });
  /** Where they are by now, in what was there before this update: its event may still be on its way. */
  const note = useCallback(() => {
    const element = box.current;
    const { height, view } = before.current;
    if (element === null || height === 0) return;
    const left = height - view - element.scrollTop;
    offset.current = left < AT_END_PX ? 0 : left;
    setIsAtEnd(offset.current === 0);
  }, [offset]);
  useLayoutEffect(() => {
    const element = box.current;
    if (element === null) return;
    const { height, oldest, newest } = before.current;
    note();
    const { scrollHeight, clientHeight } = element;
    const [first, end] = [messages[0]?._id ?? "", last === undefined ? "" : keyOf(last)];
    before.current = { height: scrollHeight, view: clientHeight, oldest: first, newest: end };
    // somebody reads further up: what grows below them does not move them, and their own new message brings them down
    if (last !== undefined && isOptimistic(last) && newest !== "" && end !== newest) offset.current = 0;
    else if (offset.current > 0 && oldest === first) offset.current += scrollHeight - height;
    settle();
  });
  useLayoutEffect(() => {
    const element = box.current;
    if (element === null) return;
    const observer = new ResizeObserver(() => {
      before.current.height = element.scrollHeight; // a field that grew, a window that was turned
      before.current.view = element.clientHeight;
      settle();
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, [settle]);

  const down = () => {
    offset.current = 0;
    box.current?.scrollTo({ top: box.current.scrollHeight, behavior: "smooth" });
  };
  return (
    <div className="scroller-frame">
      <div ref={box} className="scroller" onScroll={note} tabIndex={0} role="region" aria-label="Messages">
        <div ref={edge} className="edge">
          {status === "LoadingMore" && <span className="more">Loading what was before</span>}
        </div>
        {status === "LoadingFirstPage" ? (
          first === null ? (
            <MessagesSkeleton />
          ) : (
            <ol className="messages">
              <Said content={first} isPending />
            </ol>
          )
        ) : (
          <ol className="messages" key={chatId}>
            {messages.map((message) => (
              <MessageView key={keyOf(message)} message={message} />
            ))}
            {isWaiting && <Thinking />}
          </ol>
        )}
      </div>
      {!isAtEnd && (
        <button type="button" className="round-button to-end" aria-label="To the newest message" onClick={down}>
          <DownIcon />
        </button>
      )}
    </div>
  );
}

function MessagesSkeleton() {
  return (
    <div className="messages skeleton" aria-hidden="true">
      <span className="bone mine w40" />
      <span className="bone w70" />
      <span className="bone w58" />
      <span className="bone mine w52" />
      <span className="bone w64" />
    </div>
  );
}
