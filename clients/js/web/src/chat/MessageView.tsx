// One message: what a person said as they typed it, what the assistant says as Markdown.
import { compiler } from "markdown-to-jsx/react";
import { memo, useMemo, useState, type ReactNode } from "react";
import { CheckIcon, CopyIcon, ReplyIcon } from "../parts/icons";
import { isOptimistic, type Message } from "./sending";
import { inFull } from "./times";

const COPIED_MS = 1_500;

export const MessageView = memo(function MessageView({ message }: { message: Message }) {
  if (message.role === "user") return <Said content={message.content} isPending={isOptimistic(message)} at={message.createdAt} />;
  return <Replied message={message} />;
});

export function Said({ content, isPending, at }: { content: string; isPending: boolean; at?: number }) {
  return (
    <li className="message said" data-pending={isPending || undefined} title={at === undefined ? undefined : inFull(at)}>
      <span className="visually-hidden">You: </span>
      <div className="bubble">{content}</div>
      {isPending && (
        <span className="sending" aria-hidden="true">
          Waiting to be sent
        </span>
      )}
    </li>
  );
}

function Replied({ message }: { message: Message }) {
  const isStreaming = message.status === "streaming";
  return (
    <li className="message replied" data-status={message.status} aria-busy={isStreaming}>
      <span className="reply-mark" aria-hidden="true">
        <ReplyIcon />
      </span>
      <span className="visually-hidden">Assistant: </span>
      <div className="reply-body">
        {message.content === "" ? isStreaming && <Dots /> : <Markdown text={message.content} isWhole={!isStreaming} />}
        {message.status === "error" && <p className="cut-off">The reply broke off here.</p>}
        {!isStreaming && message.content !== "" && <Copy text={message.content} />}
      </div>
    </li>
  );
}

/** A reply that is on its way, and has no row yet. */
export function Thinking() {
  return (
    <li className="message replied" aria-hidden="true">
      <span className="reply-mark">
        <ReplyIcon />
      </span>
      <div className="reply-body">
        <Dots />
      </div>
    </li>
  );
}

function Dots() {
  return (
    <span className="dots">
      <span />
      <span />
      <span />
    </span>
  );
}

function Copy({ text }: { text: string }) {
  const [isCopied, setIsCopied] = useState(false);
  const copy = () => {
    void navigator.clipboard.writeText(text).then(() => {
      setIsCopied(true);
      setTimeout(() => setIsCopied(false), COPIED_MS);
    });
  };
  return (
    <button type="button" className="copy" aria-label={isCopied ? "Copied" : "Copy the reply"} title="Copy" onClick={copy}>
      {isCopied ? <CheckIcon /> : <CopyIcon />}
    </button>
  );
}

/** Raw HTML stays text, and pictures of other servers become links to them: a message makes this page load nothing. */
const MARKDOWN = {
  disableParsingRawHTML: true,
  forceBlock: true,
  wrapper: "div" as const,
  overrides: {
    a: { component: Link },
    img: { component: Picture },
    table: { component: Table },
    pre: { component: Code },
    h1: { component: Heading },
    h2: { component: Heading },
    h3: { component: Subheading },
    h4: { component: Subheading },
    h5: { component: Subheading },
    h6: { component: Subheading },
  },
};

/** Of a text that goes on, a mark whose other end has not come yet is not shown. */
function Markdown({ text, isWhole }: { text: string; isWhole: boolean }) {
  const body = useMemo(() => compiler(text, { ...MARKDOWN, optimizeForStreaming: !isWhole }), [text, isWhole]);
  return <div className="markdown">{body}</div>;
}

function Link({ href, children }: { href?: string; children?: ReactNode }) {
  return (
    <a href={href} target="_blank" rel="noreferrer noopener">
      {children}
    </a>
  );
}

function Picture({ src, alt }: { src?: string; alt?: string }) {
  return <Link {...(src === undefined ? {} : { href: src })}>{alt === "" || alt === undefined ? src : alt}</Link>;
}

/** Below those of the page itself. */
function Heading({ children }: { children?: ReactNode }) {
  return <h2>{children}</h2>;
}

function Subheading({ children }: { children?: ReactNode }) {
  return <h3>{children}</h3>;
}

/** What may be wider than the column scrolls by itself, also with the keyboard. */
function Table({ children }: { children?: ReactNode }) {
  return (
    <div className="wide" role="region" aria-label="Table" tabIndex={0}>
      <table>{children}</table>
    </div>
  );
}

function Code({ children }: { children?: ReactNode }) {
  return (
    <pre tabIndex={0} role="region" aria-label="Code">
      {children}
    </pre>
  );
}
