// A chat as a React application has it: the published hooks, an optimistic update, a form. Bundled by bundle.mjs.
//
// What it is to show comes in its address: `?hub=http://...&userId=...&chatId=...`, and `&over=hubTransport` if that is to be under the
// hooks. Whenever the list on the screen has changed,
// `window.tell`, which driver.mjs puts there, hears what it says now.
import { createRoot } from "react-dom/client";
import { ConvexHttpClient } from "convex/browser";
import { ConvexProvider, ConvexReactClient, useMutation, useQuery } from "convex/react";
import { anyApi } from "convex/server";

import { hubTransport } from "../../../clients/js/dist/index.js";

const { hub, over, ...owned } = Object.fromEntries(new URLSearchParams(location.search));

function appendToList(store, { userId, chatId, userMessage }) {
  const rows = store.getQuery(anyApi.messages.list, { userId, chatId });
  if (rows === undefined) return;
  const row = { _id: `optimistic ${userMessage.content}`, content: userMessage.content };
  store.setQuery(anyApi.messages.list, { userId, chatId }, [...rows, row]);
}

function Chat() {
  const rows = useQuery(anyApi.messages.list, owned);
  const send = useMutation(anyApi.messages.send).withOptimisticUpdate(appendToList);
  const submit = (event) => {
    event.preventDefault();
    const content = event.currentTarget.elements.content.value;
    event.currentTarget.reset();
    void send({ ...owned, userMessage: { content } });
  };
  if (rows === undefined) return <p>Loading</p>;
  return (
    <form onSubmit={submit}>
      <ol>
        {rows.map((row) => (
          <li key={row._id} data-id={row._id}>
            {row.content}
          </li>
        ))}
      </ol>
      <input name="content" autoComplete="off" />
    </form>
  );
}

let told;
function tellWhatIsShown() {
  const list = document.querySelector("ol");
  if (list === null) return;
  const rows = [...list.children].map((item) => ({ id: item.dataset.id, content: item.textContent }));
  if (JSON.stringify(rows) !== told) window.tell?.({ event: "shown", rows });
  told = JSON.stringify(rows);
}

// For a test to call: the same list over HTTP, from a page of another origin.
window.ask = () => new ConvexHttpClient(hub).query(anyApi.messages.list, owned);

new MutationObserver(tellWhatIsShown).observe(document, { subtree: true, childList: true, attributes: true });
createRoot(document.getElementById("root")).render(
  <ConvexProvider client={new ConvexReactClient(hub, over ? { webSocketConstructor: hubTransport() } : {})}>
    <Chat />
  </ConvexProvider>,
);
