// The same call from elsewhere: a terminal, a JavaScript program.
import type { Value } from "convex/values";
import type { FunctionInfo } from "../application";
import { asJson } from "./values";

export function Snippets({ info, args }: { info: FunctionInfo; args: Record<string, Value> }) {
  const json = asJson(args);
  const call = json === "{}" ? "{}" : json;
  return (
    <details className="snippets">
      <summary>From a program</summary>
      <pre tabIndex={0} role="region" aria-label="With curl">{`curl ${location.origin}/api/${info.kind} \\
  -H "Content-Type: application/json" \\
  -d '${JSON.stringify({ path: info.name, args: JSON.parse(json) }).replaceAll("'", "'\\''")}'`}</pre>
      <pre tabIndex={0} role="region" aria-label="In JavaScript">{`import { ConvexClient } from "convex/browser";
import { anyApi as api } from "convex/server";

const client = new ConvexClient("${location.origin}");
${
  info.kind === "query"
    ? `client.onUpdate(${reference(info.name)}, ${call}, (result) => console.log(result));`
    : `await client.mutation(${reference(info.name)}, ${call});`
}`}</pre>
    </details>
  );
}

/** `api.folder.module.function`. */
function reference(name: string): string {
  const steps = name.split(/[/:]/).map((step) => (/^[A-Za-z_$][\w$]*$/.test(step) ? `.${step}` : `["${step}"]`));
  return `api${steps.join("")}`;
}
