// The chat of one person: the side bar, the room that is shown, and the rooms that are kept ready beside it.
import { ConvexProvider, useMutation } from "convex/react";
import { useEffect, useMemo, useState } from "react";
import { api } from "../_generated/api";
import type { Id } from "../_generated/dataModel";
import { Boundary } from "../parts/Boundary";
import { useConnection } from "../parts/Connection";
import { openClient, type Person } from "../people";
import { go, useRoute } from "../route";
import { ChatGone, Troubled } from "./notices";
import { NewChat, type Begun } from "./NewChat";
import { useReplies } from "./replies";
import { Room } from "./Room";
import { ShortcutsDialog, useShortcuts } from "./shortcuts";
import { Sidebar } from "./Sidebar";
import { useWarmRooms } from "./warm";

interface Props {
  person: Person;
  hasAssistant: boolean;
  onSignOut: () => void;
}

/** Made anew for each person: nothing of one is left when another sits down. */
export function ChatPage(props: Props) {
  const { subject } = props.person;
  const client = useMemo(() => openClient(subject), [subject]);
  useEffect(() => () => void client.close(), [client]);
  return (
    <ConvexProvider client={client}>
      <Boundary fallback={(error, again) => <Troubled error={error} onAgain={again} onSignOut={props.onSignOut} />}>
        <Ensured {...props} />
      </Boundary>
    </ConvexProvider>
  );
}

/** Waits until the person has a row: every other function asks whose chats these are. */
function Ensured(props: Props) {
  const { subject, name } = props.person;
  const ensure = useMutation(api.users.ensure);
  const [state, setState] = useState<"asking" | "there" | Error>("asking");
  useEffect(() => {
    let isCurrent = true;
    const settle = (next: "there" | Error) => isCurrent && setState(next);
    ensure({ externalId: subject, name }).then(
      () => settle("there"),
      (error: Error) => settle(error),
    );
    return () => {
      isCurrent = false;
    };
  }, [ensure, subject, name]);
  if (state instanceof Error) throw state;
  return state === "there" ? <Signed {...props} /> : <div className="chat-page" aria-busy="true" />;
}

function Signed({ person, hasAssistant, onSignOut }: Props) {
  const route = useRoute();
  const shown = route.at === "chat" ? route.chatId : null;
  const { rooms, approach, leave } = useWarmRooms(shown);
  const replies = useReplies(person.subject);
  const connection = useConnection();
  const [begun, setBegun] = useState<Begun | null>(null);
  const [helpIsOpen, setHelpIsOpen] = useState(false);
  useShortcuts(() => setHelpIsOpen(true));

  return (
    <div className="chat-page" data-shows={route.at === "home" ? "list" : "room"}>
      <Sidebar
        person={person}
        shown={shown}
        isAlone={route.at === "home"}
        connection={connection}
        onApproach={approach}
        onLeave={leave}
        onSignOut={onSignOut}
        onHelp={() => setHelpIsOpen(true)}
      />
      <main className="stage" aria-label="Chat">
        {rooms.map((chatId) => (
          <Boundary key={chatId} fallback={() => (chatId === shown ? <ChatGone /> : null)}>
            <Room
              chatId={chatId as Id<"chats">}
              isShown={chatId === shown}
              begun={begun?.chatId === chatId ? begun : null}
              connection={connection}
              replies={hasAssistant ? replies : null}
              subject={person.subject}
            />
          </Boundary>
        ))}
        {shown === null && (
          <NewChat
            name={person.name}
            replies={hasAssistant ? replies : null}
            isAutoFocused={route.at === "new"}
            onMade={(made) => {
              setBegun(made);
              go({ at: "chat", chatId: made.chatId }, "replace");
            }}
          />
        )}
      </main>
      {helpIsOpen && <ShortcutsDialog onClose={() => setHelpIsOpen(false)} />}
    </div>
  );
}
