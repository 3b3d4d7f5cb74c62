// Both clients in a worker: `?hub=…&name=…`. The same script is the page, which starts the worker, and the worker itself.
import { ConvexClient } from "convex/browser";

import { HubClient, hubTransport, indexedDbCache, sessionCache } from "../../../clients/js/dist/index.js";

if (globalThis.document) {
  const worker = new Worker(`/page.js${location.search}`, { type: "module" });
  worker.onmessage = ({ data }) => window.tell(data);
  worker.onerror = ({ message }) => console.error(message);
} else {
  const { hub, name } = Object.fromEntries(new URLSearchParams(location.search));
  const tell = (client) => (value) => postMessage({ event: "value", client, value });
  const transport = hubTransport({ cache: indexedDbCache() });
  new ConvexClient(hub, { webSocketConstructor: transport }).onUpdate("cells:get", { name }, tell("transport"));
  // A worker has no sessionStorage: nothing is stored, and nothing else happens.
  new HubClient(hub, { cache: sessionCache() }).subscribe("cells:get", { name }, tell("small"));
}
