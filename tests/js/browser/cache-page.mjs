// A page with stored values: `?hub=…&client=convex|hub&cache=session|indexedDb&query=…&name=…&token=…`, no token for nobody.
//
// `window.tell`, which driver.mjs puts there, hears every value in the order in which it was shown.
import { ConvexClient } from "convex/browser";

import { HubClient, hubTransport, indexedDbCache, sessionCache } from "../../../clients/js/dist/index.js";

const { hub, client: kind, cache: storage, query, name, token } = Object.fromEntries(new URLSearchParams(location.search));
const cache = storage === "session" ? sessionCache() : indexedDbCache();
const show = (value) => window.tell({ event: "value", value });
const fail = (error) => window.tell({ event: "refusal", text: error.message });

if (kind === "convex") {
  const client = new ConvexClient(hub, { webSocketConstructor: hubTransport({ cache }) });
  if (token) client.setAuth(async () => token);
  client.onUpdate(query, { name }, show, fail);
  window.signOut = () => client.client.clearAuth(); // as `ConvexReactClient.clearAuth` does
} else {
  const client = new HubClient(hub, { cache, auth: token ?? null });
  client.subscribe(query, { name }, show, fail);
  window.signOut = () => client.setAuth(null);
}

window.flush = () => cache.flush();

/** Everything that this browser has stored for the page, as one text. */
window.stored = async () => {
  const databases = await indexedDB.databases();
  const texts = [JSON.stringify({ ...sessionStorage })];
  for (const { name } of databases) {
    const database = await new Promise((resolve) => (indexedDB.open(name).onsuccess = ({ target }) => resolve(target.result)));
    for (const store of database.objectStoreNames) {
      const all = database.transaction(store).objectStore(store).getAll();
      await new Promise((resolve) => (all.onsuccess = resolve));
      texts.push(JSON.stringify(all.result));
    }
    database.close();
  }
  return texts.join("\n");
};
