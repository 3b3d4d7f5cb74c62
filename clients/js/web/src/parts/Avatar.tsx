// A person as a disc of their colour, with the first letter of their name.
import type { CSSProperties } from "react";
import { hueOf, type Person } from "../people";

export function Avatar({ person }: { person: Person }) {
  const style = { "--hue": hueOf(person.subject) } as CSSProperties;
  return (
    <span className="avatar" style={style} aria-hidden="true">
      {[...person.name][0]?.toUpperCase()}
    </span>
  );
}
