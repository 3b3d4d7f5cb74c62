// The title of a chat, which can be changed in place, and the way to delete it.
import { useEffect, useRef, useState, type KeyboardEvent } from "react";
import { BackIcon, PencilIcon, TrashIcon } from "../parts/icons";
import { hrefOf } from "../route";
import { DeleteDialog } from "./DeleteDialog";
import { useRename, type Chat } from "./sending";

const TITLE_MAX_CHARS = 200;

/** Until the chat is there, `title` is all there is to show. */
export function RoomHead({ chat, title }: { chat: Chat | null; title: string }) {
  const rename = useRename();
  const [draft, setDraft] = useState<string | null>(null);
  const [isDeleting, setIsDeleting] = useState(false);
  const opener = useRef<HTMLButtonElement>(null);
  const isOver = useRef(false);

  useEffect(() => {
    const press = (event: globalThis.KeyboardEvent) => {
      if (event.key === "F2" && chat !== null && document.querySelector("dialog[open]") === null) {
        event.preventDefault();
        open();
      }
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  });

  const open = () => {
    isOver.current = false;
    setDraft(title);
  };
  /** Once: leaving the field because it is taken away is not another end. */
  const end = (shallSave: boolean, focusBack: boolean) => {
    if (isOver.current) return;
    isOver.current = true;
    const better = draft?.trim() ?? "";
    if (shallSave && better !== "" && better !== title && chat !== null) void rename({ chatId: chat._id, title: better });
    setDraft(null);
    if (focusBack) requestAnimationFrame(() => opener.current?.focus());
  };
  const press = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return;
    if (event.key === "Enter") end(true, true);
    else if (event.key === "Escape") end(false, true);
    else return;
    event.preventDefault();
  };
  return (
    <header className="room-head">
      <a className="icon-button back" href={hrefOf({ at: "home" })} aria-label="All chats">
        <BackIcon />
      </a>
      {draft === null ? (
        <>
          <h1 className="room-title" onDoubleClick={open}>
            {title}
          </h1>
          <button ref={opener} type="button" className="icon-button" aria-label="Rename" title="Rename (F2)" disabled={chat === null} onClick={open}>
            <PencilIcon />
          </button>
          <button
            type="button"
            className="icon-button"
            aria-label="Delete"
            title="Delete"
            disabled={chat === null}
            onClick={() => setIsDeleting(true)}
          >
            <TrashIcon />
          </button>
        </>
      ) : (
        <input
          className="title-field"
          aria-label="Title"
          value={draft}
          maxLength={TITLE_MAX_CHARS}
          autoFocus
          onFocus={(event) => event.target.select()}
          onChange={(event) => setDraft(event.target.value)}
          onKeyDown={press}
          onBlur={() => end(true, false)}
        />
      )}
      {isDeleting && chat !== null && <DeleteDialog chat={chat} isShown onClose={() => setIsDeleting(false)} />}
    </header>
  );
}
