// Keys that work anywhere in the chat, and the dialog that lists them all.
import { useEffect } from "react";
import { Dialog } from "../parts/Dialog";
import { go, hrefOf } from "../route";

const KEYS: [keys: string[], what: string][] = [
  [["Enter"], "Send"],
  [["Shift", "Enter"], "New line"],
  [["Alt", "N"], "New chat"],
  [["Alt", "↑"], "Chat above"],
  [["Alt", "↓"], "Chat below"],
  [["↑"], "Move in the side bar, with Home and End"],
  [["F2"], "Rename the chat"],
  [["Delete"], "Delete the chat that is chosen in the side bar"],
  [["/"], "Write"],
  [["Esc"], "Stop the reply, leave a field, close"],
  [["?"], "This list"],
];

export function useShortcuts(onHelp: () => void): void {
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.defaultPrevented || document.querySelector("dialog[open]") !== null) return;
      if (event.altKey && !event.ctrlKey && !event.metaKey) {
        if (event.code === "KeyN") go({ at: "new" });
        else if (event.key === "ArrowUp") step(-1);
        else if (event.key === "ArrowDown") step(1);
        else return;
        event.preventDefault();
      } else if (!isWriting(event.target) && !event.ctrlKey && !event.metaKey) {
        if (event.key === "?") onHelp();
        else if (event.key === "/") document.querySelector<HTMLElement>(".stage textarea")?.focus();
        else return;
        event.preventDefault();
      }
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, [onHelp]);
}

/** To the chat above or below the one that is shown, in the order of the side bar. */
function step(by: number): void {
  const links = [...document.querySelectorAll<HTMLAnchorElement>(".chat-link")];
  const current = links.findIndex((link) => link.getAttribute("href") === location.hash);
  const next = links[current === -1 ? 0 : Math.min(Math.max(current + by, 0), links.length - 1)];
  const href = next?.getAttribute("href");
  if (href !== undefined && href !== null && href !== hrefOf({ at: "home" })) location.hash = href;
}

function isWriting(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

export function ShortcutsDialog({ onClose }: { onClose: () => void }) {
  return (
    <Dialog label="Keyboard" onClose={onClose}>
      <h2>Keyboard</h2>
      <dl className="keys">
        {KEYS.map(([keys, what]) => (
          <div key={what}>
            <dt>
              {keys.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <div className="dialog-actions">
        <button type="button" className="button primary" onClick={onClose}>
          Close
        </button>
      </div>
    </Dialog>
  );
}
