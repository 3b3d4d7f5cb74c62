// What happened to a watched result, update by update.
import { spelled, type Change } from "./changes";
import { brief } from "./values";
import type { Happening } from "./watching";

const SIGNS = { added: "+", removed: "−", changed: "~", moved: "↕" } as const;
const CHANGES_SHOWN = 12;
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 });

export function Events({ events }: { events: Happening[] }) {
  return (
    <div className="events">
      <h3>Changes</h3>
      {events.length === 0 ? (
        <p className="quiet">None so far. Change what it reads, from here or from another tab.</p>
      ) : (
        <ol role="log" aria-label="Changes" tabIndex={0}>
          {events.map((event) => (
            <li key={event.number}>
              <time dateTime={new Date(event.at).toISOString()}>{clock.format(event.at)}</time>
              <ul>
                {event.changes.slice(0, CHANGES_SHOWN).map((change) => (
                  <li key={`${change.kind}${spelled(change.path)}`} className={`change ${change.kind}`}>
                    <span className="sign" aria-hidden="true">
                      {SIGNS[change.kind]}
                    </span>
                    <span className="visually-hidden">{change.kind}: </span>
                    <code>{told(change)}</code>
                  </li>
                ))}
                {event.changes.length > CHANGES_SHOWN && <li className="quiet">and {event.changes.length - CHANGES_SHOWN} more</li>}
              </ul>
            </li>
          ))}
        </ol>
      )}
    </div>
  );
}

/** A text that only grew is told by what it grew by. */
function told({ kind, path, before, after }: Change): string {
  const place = spelled(path);
  if (kind === "added" || kind === "moved") return `${place} ${brief(after)}`;
  if (kind === "removed") return `${place} ${brief(before)}`;
  if (typeof before === "string" && typeof after === "string" && after.startsWith(before)) {
    return `${place} grew by ${brief(after.slice(before.length))}`;
  }
  return `${place} ${brief(before, 60)} → ${brief(after, 60)}`;
}
