// A value as a tree of lines, in which what changed last is marked.
import type { Value } from "convex/values";
import { useState } from "react";
import { isObject, spelled, type Change, type Path } from "./changes";
import { brief } from "./values";

const ITEMS_SHOWN = 100;
const TEXT_SHOWN = 2_000;

interface Marks {
  /** Of the update that the marks belong to: another one begins its animation anew. */
  version: number;
  kinds: ReadonlyMap<string, Change["kind"]>;
}

export function ValueTree({ value, changes, version }: { value: Value; changes: Change[]; version: number }) {
  const here = changes.filter((change) => change.kind !== "removed"); // a row that moved and changed is told by what changed in it
  const marks = { version, kinds: new Map(here.map((change) => [spelled(change.path), change.kind])) };
  return (
    <div className="tree">
      <Node value={value} path={[]} label={null} marks={marks} isLast />
    </div>
  );
}

interface Props {
  value: Value;
  path: Path;
  label: string | null;
  marks: Marks;
  isLast: boolean;
}

function Node({ value, path, label, marks, isLast }: Props) {
  const [shown, setShown] = useState(ITEMS_SHOWN);
  const changed = marks.kinds.get(spelled(path));
  const key = changed === undefined ? 0 : marks.version;
  const name = label === null ? null : <span className="tree-key">{label}: </span>;
  const comma = isLast ? "" : ",";
  if (!isTree(value)) {
    return (
      <div key={key} className="tree-line" data-changed={changed}>
        {name}
        <Leaf value={value} />
        {comma}
      </div>
    );
  }
  const isList = Array.isArray(value);
  const [opening, closing] = isList ? ["[", "]"] : ["{", "}"];
  const entries: [string | number, Value][] = isList ? value.map((item, at) => [at, item]) : Object.entries(value);
  if (entries.length === 0) {
    return (
      <div key={key} className="tree-line" data-changed={changed}>
        {name}
        {opening + closing + comma}
      </div>
    );
  }
  return (
    <div key={key} className="tree-node" data-changed={changed}>
      <div className="tree-line">
        {name}
        {opening}
        {isList && <span className="tree-count"> {entries.length === 1 ? "1 item" : `${entries.length} items`}</span>}
      </div>
      <div className="tree-inside">
        {entries.slice(0, shown).map(([step, child], at) => (
          <Node
            key={isList ? rowKey(child, at) : step}
            value={child}
            path={[...path, step]}
            label={isList ? null : String(step)}
            marks={marks}
            isLast={at === entries.length - 1}
          />
        ))}
        {entries.length > shown && (
          <button type="button" className="link" onClick={() => setShown(shown + ITEMS_SHOWN)}>
            {entries.length - shown} more
          </button>
        )}
      </div>
      <div className="tree-line">{closing + comma}</div>
    </div>
  );
}

function Leaf({ value }: { value: Value }) {
  const kind = value === null ? "null" : value instanceof ArrayBuffer ? "bytes" : typeof value;
  return <span className={`tree-${kind}`}>{brief(value, TEXT_SHOWN)}</span>;
}

function isTree(value: Value): value is Value[] | Record<string, Value> {
  return Array.isArray(value) || isObject(value);
}

function rowKey(value: Value, at: number): string | number {
  const id = isObject(value) ? value["_id"] : undefined;
  return typeof id === "string" ? id : at;
}
