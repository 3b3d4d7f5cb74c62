import type { Served } from "../application";

export function Playground({ served }: { served: Served; name: string }) {
  return <main className="welcome">{served.application.functions.map((each) => <p key={each.name}>{each.name}</p>)}</main>;
}
