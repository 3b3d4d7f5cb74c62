// One function: what it says of itself, its arguments, and what comes of calling or watching it.
import type { ConvexReactClient } from "convex/react";
import { makeFunctionReference } from "convex/server";
import { ConvexError, type Value } from "convex/values";
import { useState, type FormEvent, type KeyboardEvent } from "react";
import type { FunctionInfo, Schema } from "../application";
import { PlayIcon, StopIcon } from "../parts/icons";
import { Arguments } from "./Arguments";
import { Docs } from "./Docs";
import { Events } from "./Events";
import { Snippets } from "./Snippets";
import { firstDraft, parseArguments, type Drafts } from "./values";
import { ValueTree } from "./ValueTree";
import { useWatched } from "./watching";

const ACCESS = { public: "anybody", known: "whoever is known", internal: "the service only" } as const;
const remembered = new Map<string, Drafts>();

type Outcome = { state: "running" } | { state: "done"; value: Value; ms: number } | { state: "failed"; message: string };

export function FunctionPane({ info, client }: { info: FunctionInfo; client: ConvexReactClient }) {
  const [drafts, setDrafts] = useState<Drafts>(() => remembered.get(info.name) ?? beginning(info.args));
  const [mistakes, setMistakes] = useState<Record<string, string>>({});
  const [watchedArgs, setWatchedArgs] = useState<Record<string, Value> | null>(null);
  const [outcome, setOutcome] = useState<Outcome | null>(null);
  const watched = useWatched(client, info.name, watchedArgs);
  const isQuery = info.kind === "query";

  const change = (name: string, text: string) => {
    const next = { ...drafts, [name]: text };
    remembered.set(info.name, next);
    setDrafts(next);
  };
  const run = async (event?: FormEvent) => {
    event?.preventDefault();
    const parsed = parseArguments(info.args, drafts);
    setMistakes("mistakes" in parsed ? parsed.mistakes : {});
    if ("mistakes" in parsed) return;
    if (isQuery) setWatchedArgs(parsed.args);
    else setOutcome(await called(client, info.name, parsed.args, () => setOutcome({ state: "running" })));
  };
  const press = (event: KeyboardEvent) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) void run();
  };
  const parsed = parseArguments(info.args, drafts);
  return (
    <article className="pane" onKeyDown={press}>
      <header className="pane-head">
        <h1>
          <code>{info.name}</code>
        </h1>
        <p className="tags">
          <span className={`tag ${info.kind}`}>{info.kind}</span>
          <span className="tag">for {ACCESS[info.access]}</span>
        </p>
        {info.docs !== "" && (
          <p className="docs">
            <Docs text={info.docs} />
          </p>
        )}
        <p className="returns">
          <span className="quiet">Returns</span> <code className="type">{info.returns}</code>
        </p>
      </header>
      <form className="card" onSubmit={(event) => void run(event)} noValidate>
        <h2>Arguments</h2>
        <Arguments schema={info.args} drafts={drafts} mistakes={mistakes} onChange={change} />
        <div className="field-row">
          <button type="submit" className="button primary" title="Ctrl+Enter">
            <PlayIcon />
            {isQuery ? (watchedArgs === null ? "Watch" : "Watch again") : "Call"}
          </button>
          {watchedArgs !== null && (
            <button type="button" className="button" onClick={() => setWatchedArgs(null)}>
              <StopIcon />
              Stop watching
            </button>
          )}
        </div>
        <Snippets info={info} args={"args" in parsed ? parsed.args : {}} />
      </form>
      {isQuery && watchedArgs !== null && (
        <section className="card" aria-label="Result">
          <h2>
            Result <span className="tag live">live</span>
          </h2>
          {watched.state === "waiting" && <p className="quiet waiting">Waiting for the first result</p>}
          {watched.state === "error" && <p className="failure">{watched.error}</p>}
          {watched.value !== undefined && watched.state === "value" && (
            <ValueTree value={watched.value} changes={watched.events[0]?.changes ?? []} version={watched.events[0]?.number ?? 0} />
          )}
          <Events events={watched.events} />
        </section>
      )}
      {outcome !== null && (
        <section className="card" aria-label="Result" aria-live="polite">
          <h2>Result {outcome.state === "done" && <span className="tag">{outcome.ms} ms</span>}</h2>
          {outcome.state === "running" && <p className="quiet waiting">Calling</p>}
          {outcome.state === "failed" && <p className="failure">{outcome.message}</p>}
          {outcome.state === "done" && <ValueTree value={outcome.value} changes={[]} version={0} />}
        </section>
      )}
    </article>
  );
}

function beginning(schema: Schema): Drafts {
  const required = schema.required ?? [];
  return Object.fromEntries(required.map((name) => [name, firstDraft(schema.properties?.[name] ?? {}, schema)]));
}

async function called(client: ConvexReactClient, name: string, args: Record<string, Value>, begin: () => void): Promise<Outcome> {
  begin();
  const started = performance.now();
  try {
    const value = (await client.mutation(makeFunctionReference<"mutation">(name), args)) as Value;
    return { state: "done", value, ms: Math.round(performance.now() - started) };
  } catch (error) {
    if (error instanceof ConvexError) return { state: "failed", message: JSON.stringify(error.data, null, 2) };
    return { state: "failed", message: error instanceof Error ? error.message : String(error) };
  }
}
