// Where a message is written. What was begun in one chat is still there when somebody comes back to it.
import { useEffect, useLayoutEffect, useRef, useState, type KeyboardEvent } from "react";
import { SendIcon, StopIcon } from "../parts/icons";

interface Props {
  /** Under which name the draft is kept. */
  draftKey: string;
  placeholder: string;
  isAutoFocused: boolean;
  /** What is written now stays for later: there is no place for it yet. */
  isBusy?: boolean;
  /** null: nothing is being said that could be stopped. */
  onStop: (() => void) | null;
  /** Rejects if it could not be sent; the text comes back then. */
  onSend: (content: string) => Promise<void>;
}

const MAX_HEIGHT_PX = 220;
const drafts = new Map<string, string>();

/** What was written before there was a chat goes into it. */
export function moveDraft(from: string, to: string): void {
  const text = drafts.get(from);
  drafts.delete(from);
  if (text !== undefined) drafts.set(to, text);
}

export function Composer({ draftKey, placeholder, isAutoFocused, isBusy = false, onStop, onSend }: Props) {
  const [text, setText] = useState(() => drafts.get(draftKey) ?? "");
  const [failure, setFailure] = useState("");
  const field = useRef<HTMLTextAreaElement>(null);

  useEffect(() => {
    if (isAutoFocused && matchMedia("(hover: hover)").matches) field.current?.focus(); // elsewhere a keyboard would pop up
  }, [isAutoFocused]);
  useLayoutEffect(() => {
    const element = field.current;
    if (element === null) return;
    element.style.height = "auto";
    element.style.height = `${Math.min(element.scrollHeight, MAX_HEIGHT_PX)}px`;
  }, [text]);

  const write = (next: string) => {
    setText(next);
    if (next === "") drafts.delete(draftKey);
    else drafts.set(draftKey, next);
  };
  const send = () => {
    const content = text.trim();
    if (content === "" || isBusy) return;
    write("");
    setFailure("");
    field.current?.focus();
    onSend(content).catch((error: unknown) => {
      setFailure(error instanceof Error ? error.message : String(error));
      setText((newer) => (newer === "" ? content : newer));
    });
  };
  const press = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return; // Enter chooses a word
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      send();
    } else if (event.key === "Escape") {
      if (onStop !== null) onStop();
      else field.current?.blur();
    }
  };
  return (
    <form
      className="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      {failure !== "" && (
        <p className="failure" role="alert">
          Not sent: {failure}
        </p>
      )}
      <div className="composer-box">
        <textarea
          ref={field}
          name="message"
          rows={1}
          value={text}
          placeholder={placeholder}
          aria-label="Message"
          enterKeyHint="send"
          onChange={(event) => write(event.target.value)}
          onKeyDown={press}
        />
        {onStop !== null && text.trim() === "" ? (
          <button type="button" className="round-button" aria-label="Stop the reply" title="Stop (Esc)" onClick={onStop}>
            <StopIcon />
          </button>
        ) : (
          <button type="submit" className="round-button" aria-label="Send" title="Send (Enter)" disabled={isBusy || text.trim() === ""}>
            <SendIcon />
          </button>
        )}
      </div>
    </form>
  );
}
