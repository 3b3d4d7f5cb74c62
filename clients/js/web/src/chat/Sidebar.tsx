// The chats of a person, the one that changed last on top, and who they are. Live: what another tab does is here at once.
import { usePaginatedQuery } from "convex/react";
import { memo, useEffect, useRef, useState, type KeyboardEvent } from "react";
import { api } from "../_generated/api";
import { Avatar } from "../parts/Avatar";
import { ConnectionMark, type Connection } from "../parts/Connection";
import { KeyboardIcon, LeaveIcon, Logo, PlayIcon, PlusIcon } from "../parts/icons";
import { SideBar } from "../parts/SideBar";
import { ThemeSwitch } from "../parts/ThemeSwitch";
import { useEdge } from "../parts/edge";
import type { Person } from "../people";
import { hrefOf } from "../route";
import { DeleteDialog } from "./DeleteDialog";
import { ago, inFull } from "./times";
import type { Chat } from "./sending";

const PAGE = 40;
const CLOCK_MS = 30_000;

interface Props {
  person: Person;
  shown: string | null;
  isAlone: boolean;
  connection: Connection;
  onApproach: (chatId: string) => void;
  onLeave: () => void;
  onSignOut: () => void;
  onHelp: () => void;
}

export function Sidebar({ person, shown, isAlone, connection, onApproach, onLeave, onSignOut, onHelp }: Props) {
  const { results, status, loadMore } = usePaginatedQuery(api.chats.page, {}, { initialNumItems: PAGE });
  const edge = useEdge(status === "CanLoadMore" ? () => loadMore(PAGE) : null);
  const now = useNow();
  const [doomed, setDoomed] = useState<Chat | null>(null);

  return (
    <SideBar title="All chats" isAlone={isAlone}>
      <div className="sidebar-head">
        <a className="brand" href={hrefOf({ at: "home" })} aria-label="hub, to the start">
          <Logo />
          <span>hub</span>
        </a>
        <ConnectionMark connection={connection} />
      </div>
      <a className="button primary new-chat" href={hrefOf({ at: "new" })}>
        <PlusIcon />
        New chat
      </a>
      <nav className="chats" aria-label="Chats" onKeyDown={moveFocus}>
        {status === "LoadingFirstPage" ? (
          <ChatsSkeleton />
        ) : results.length === 0 ? (
          <p className="chats-empty">Your chats will be here, on every tab at once.</p>
        ) : (
          <ul>
            {results.map((chat) => (
              <ChatLink
                key={chat._id}
                chat={chat}
                isShown={chat._id === shown}
                time={ago(chat.lastMessageAt ?? chat.updatedAt, now)}
                onApproach={onApproach}
                onLeave={onLeave}
                onDelete={setDoomed}
              />
            ))}
          </ul>
        )}
        <div ref={edge} className="edge" />
      </nav>
      <div className="sidebar-foot">
        <div className="whoami">
          <Avatar person={person} />
          <span className="whoami-name">{person.name}</span>
          <button type="button" className="icon-button" aria-label="Sign in as somebody else" title="Sign in as somebody else" onClick={onSignOut}>
            <LeaveIcon />
          </button>
        </div>
        <div className="sidebar-tools">
          <ThemeSwitch />
          <span>
            <button type="button" className="icon-button" aria-label="Keyboard shortcuts" title="Keyboard shortcuts (?)" onClick={onHelp}>
              <KeyboardIcon />
            </button>
            <a className="icon-button" href={hrefOf({ at: "playground", name: "" })} aria-label="Playground" title="Playground: call any function">
              <PlayIcon />
            </a>
          </span>
        </div>
      </div>
      {doomed !== null && <DeleteDialog chat={doomed} isShown={doomed._id === shown} onClose={() => setDoomed(null)} />}
    </SideBar>
  );
}

interface LinkProps {
  chat: Chat;
  isShown: boolean;
  time: string;
  onApproach: (chatId: string) => void;
  onLeave: () => void;
  onDelete: (chat: Chat) => void;
}

const ChatLink = memo(function ChatLink({ chat, isShown, time, onApproach, onLeave, onDelete }: LinkProps) {
  const press = (event: KeyboardEvent) => {
    if (event.key !== "Delete") return;
    event.preventDefault();
    onDelete(chat);
  };
  return (
    <li>
      <a
        className="chat-link"
        href={hrefOf({ at: "chat", chatId: chat._id })}
        aria-current={isShown ? "page" : undefined}
        onPointerEnter={() => onApproach(chat._id)}
        onPointerLeave={onLeave}
        onFocus={() => onApproach(chat._id)}
        onBlur={onLeave}
        onKeyDown={press}
      >
        <span className="chat-title">{chat.title}</span>
        <time dateTime={new Date(chat.lastMessageAt ?? chat.updatedAt).toISOString()} title={inFull(chat.lastMessageAt ?? chat.updatedAt)}>
          {time}
        </time>
      </a>
    </li>
  );
});

function ChatsSkeleton() {
  return (
    <ul className="skeleton" aria-hidden="true">
      {[70, 52, 64, 40, 58].map((width) => (
        <li key={width}>
          <span className={`bone w${width}`} />
        </li>
      ))}
    </ul>
  );
}

/** Up and down go from chat to chat, Home and End to the first and last. */
function moveFocus(event: KeyboardEvent<HTMLElement>): void {
  if (event.altKey) return;
  const links = [...event.currentTarget.querySelectorAll<HTMLAnchorElement>(".chat-link")];
  const at = links.indexOf(document.activeElement as HTMLAnchorElement);
  const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: links.length - 1 }[event.key];
  if (next === undefined || at === -1) return;
  event.preventDefault();
  links[Math.min(Math.max(next, 0), links.length - 1)]?.focus();
}

function useNow(): number {
  const [now, setNow] = useState(Date.now);
  const timer = useRef<ReturnType<typeof setInterval>>(undefined);
  useEffect(() => {
    timer.current = setInterval(() => setNow(Date.now()), CLOCK_MS);
    return () => clearInterval(timer.current);
  }, []);
  return now;
}
