// The pages of `hub dev`: the chat where the application has its functions, else the playground.
import { ConvexError } from "convex/values";
import { useState } from "react";
import { createRoot } from "react-dom/client";
import { isChat, useServed } from "./application";
import { ChatPage } from "./chat/ChatPage";
import { currentPerson, forgetCurrent, remember, type Person } from "./people";
import { Playground } from "./playground/Playground";
import { useRoute } from "./route";
import { SignIn } from "./SignIn";
import "./styles/index.css";

function Start() {
  const served = useServed();
  const route = useRoute();
  const [person, setPerson] = useState<Person | null>(currentPerson);

  if (served === null) return null;
  if (route.at === "playground" || !isChat(served.application)) {
    return <Playground served={served} name={route.at === "playground" ? route.name : ""} />;
  }
  const signIn = (chosen: Person) => {
    remember(chosen);
    setPerson(chosen);
  };
  const signOut = () => {
    forgetCurrent();
    setPerson(null);
  };
  if (person === null) return <SignIn canSignIn={served.has.includes("tokens")} onSignIn={signIn} />;
  return <ChatPage key={person.subject} person={person} hasAssistant={served.has.includes("assistant")} onSignOut={signOut} />;
}

const root = document.getElementById("root");
if (root !== null) createRoot(root, { onCaughtError: tell }).render(<Start />);

/** What the hub refuses is told on the page, where it was asked for; anything else is a mistake of ours. */
function tell(error: unknown): void {
  const isOfHub = error instanceof ConvexError || (error instanceof Error && error.message.startsWith("[CONVEX "));
  if (!isOfHub) console.error(error);
}
