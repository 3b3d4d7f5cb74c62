// A chat that is not there yet: it comes into being, with a title of its first words, when the first message is sent.
import { useMutation } from "convex/react";
import { useState } from "react";
import { api } from "../_generated/api";
import { BackIcon, Logo } from "../parts/icons";
import { hrefOf } from "../route";
import { Composer, moveDraft } from "./Composer";
import { Said } from "./MessageView";
import type { Replies } from "./replies";
import { useSend } from "./sending";

const DRAFT = "new";
const TITLE_CHARS = 60;
const STARTERS = ["Tell me a story", "Make a short list", "Show me some code"];

/** A chat that was just made, and what its room shows until its first page is there: nothing goes away in between. */
export interface Begun {
  chatId: string;
  title: string;
  content: string;
}

interface Props {
  name: string;
  replies: Replies | null;
  isAutoFocused: boolean;
  onMade: (begun: Begun) => void;
}

export function NewChat({ name, replies, isAutoFocused, onMade }: Props) {
  const create = useMutation(api.chats.create);
  const send = useSend();
  const [first, setFirst] = useState<string | null>(null);

  const begin = async (content: string) => {
    setFirst(content);
    try {
      const title = titleOf(content);
      const { chatId } = await create({ title });
      const clientMessageId = crypto.randomUUID();
      await send({ chatId, userMessage: { content, clientMessageId } });
      replies?.request({ chatId, clientMessageId, content });
      moveDraft(DRAFT, chatId);
      onMade({ chatId, title, content });
    } catch (error) {
      setFirst(null);
      throw error;
    }
  };
  return (
    <section className="room" aria-label="New chat">
      <header className="room-head">
        <a className="icon-button back" href={hrefOf({ at: "home" })} aria-label="All chats">
          <BackIcon />
        </a>
        <h1 className="room-title">{first === null ? "New chat" : titleOf(first)}</h1>
      </header>
      <div className="scroller">
        {first === null ? (
          <div className="greeting">
            <Logo />
            <h2>Hello, {name}</h2>
            <p className="quiet">What you write here is on every tab of yours as soon as you send it.</p>
            <ul className="starters">
              {STARTERS.map((starter) => (
                <li key={starter}>
                  <button type="button" className="starter" onClick={() => void begin(starter).catch(() => undefined)}>
                    {starter}
                  </button>
                </li>
              ))}
            </ul>
          </div>
        ) : (
          <ol className="messages">
            <Said content={first} isPending />
          </ol>
        )}
      </div>
      <Composer
        draftKey={DRAFT}
        placeholder="Write a message"
        isAutoFocused={isAutoFocused}
        isBusy={first !== null}
        onStop={null}
        onSend={begin}
      />
    </section>
  );
}

function titleOf(content: string): string {
  const line = content.split("\n", 1)[0]?.trim() ?? "";
  const characters = [...line];
  return characters.length <= TITLE_CHARS ? line : `${characters.slice(0, TITLE_CHARS - 1).join("").trimEnd()}…`;
}
