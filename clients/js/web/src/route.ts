// Where in the pages somebody is: the part of the address after `#`, so that back, forward and links work without a server's help.
import { useSyncExternalStore } from "react";

export type Route =
  | { at: "home" }
  | { at: "new" }
  | { at: "chat"; chatId: string }
  | { at: "playground"; name: string };

export function hrefOf(route: Route): string {
  switch (route.at) {
    case "home":
      return "#/";
    case "new":
      return "#/new";
    case "chat":
      return `#/chat/${encodeURIComponent(route.chatId)}`;
    case "playground":
      return route.name === "" ? "#/playground" : `#/playground/${encodeURIComponent(route.name)}`;
  }
}

export function routeOf(hash: string): Route {
  const [place = "", rest = ""] = hash.replace(/^#?\/?/, "").split("/", 2);
  if (place === "new") return { at: "new" };
  if (place === "chat" && rest !== "") return { at: "chat", chatId: decoded(rest) };
  if (place === "playground") return { at: "playground", name: decoded(rest) };
  return { at: "home" };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** `replace`: the page that is left is not one to come back to. */
export function go(route: Route, how: "push" | "replace" = "push"): void {
  if (how === "push") location.hash = hrefOf(route);
  else location.replace(hrefOf(route));
}

function subscribe(changed: () => void): () => void {
  addEventListener("hashchange", changed);
  return () => removeEventListener("hashchange", changed);
}

export function useRoute(): Route {
  return routeOf(useSyncExternalStore(subscribe, () => location.hash));
}
