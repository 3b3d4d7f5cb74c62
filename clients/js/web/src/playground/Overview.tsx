// What the playground shows before anything is chosen: what runs here, and where else to look.
import type { Application } from "../application";
import { Logo } from "../parts/icons";
import { hrefOf } from "../route";

const PROBES = ["/ready", "/health", "/version", "/metrics"];

export function Overview({ application, unknown }: { application: Application; unknown: string }) {
  const { functions, tables } = application;
  const first = functions.find((info) => info.kind === "query") ?? functions[0];
  return (
    <div className="overview">
      <Logo />
      <h1>{unknown === "" ? "A hub runs here" : "This is not here any more"}</h1>
      {functions.length === 0 ? (
        <p className="quiet">
          It has no functions yet: <code>hub init</code> writes a small application to start from.
        </p>
      ) : (
        <p className="quiet">
          It serves {counted(functions.length, "function")} on {counted(tables.length, "table")}. Call one, or watch a query: its result
          stays what it would return now, and what changes is marked.
        </p>
      )}
      {first !== undefined && (
        <a className="button primary" href={hrefOf({ at: "playground", name: first.name })}>
          Try {first.name}
        </a>
      )}
      <p className="probes">
        {PROBES.map((path) => (
          <a key={path} href={path}>
            {path}
          </a>
        ))}
      </p>
    </div>
  );
}

function counted(number: number, what: string): string {
  return number === 1 ? `1 ${what}` : `${number} ${what}s`;
}
