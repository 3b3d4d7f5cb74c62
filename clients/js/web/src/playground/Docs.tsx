// A docstring: as it was written, with what stands in backticks as code.
import { Fragment } from "react";

export function Docs({ text }: { text: string }) {
  return text.split(/`([^`\n]+)`/).map((part, at) => (at % 2 === 1 ? <code key={at}>{part}</code> : <Fragment key={at}>{part}</Fragment>));
}
