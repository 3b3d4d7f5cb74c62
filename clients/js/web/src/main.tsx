// The pages of `hub dev`: the chat where the application has its functions, else the playground.
import { createRoot } from "react-dom/client";
import { useState } from "react";
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
if (root !== null) createRoot(root).render(<Start />);
