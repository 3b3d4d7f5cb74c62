// The first thing somebody sees: who are you? `hub dev` believes everybody, which is why it is for development.
import { useId, useState, type FormEvent } from "react";
import { knownPeople, personNamed, type Person } from "./people";
import { Avatar } from "./parts/Avatar";
import { Logo } from "./parts/icons";
import { ThemeSwitch } from "./parts/ThemeSwitch";

const SUBJECT_MAX_CHARS = 60;

export function SignIn({ canSignIn, onSignIn }: { canSignIn: boolean; onSignIn: (person: Person) => void }) {
  const [name, setName] = useState("");
  const field = useId();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const person = personNamed(name);
    if (person.subject !== "") onSignIn(person);
  };
  return (
    <main className="welcome">
      <div className="welcome-card">
        <Logo className="welcome-logo" />
        <h1>Who are you today?</h1>
        {canSignIn ? (
          <>
            <p className="quiet">This hub runs for development, so it believes you. Each tab can be somebody else.</p>
            <ul className="people" aria-label="People">
              {knownPeople().map((person) => (
                <li key={person.subject}>
                  <button type="button" className="person-choice" onClick={() => onSignIn(person)}>
                    <Avatar person={person} />
                    <span>{person.name}</span>
                  </button>
                </li>
              ))}
            </ul>
            <form className="welcome-form" onSubmit={submit}>
              <label htmlFor={field}>Somebody else</label>
              <div className="field-row">
                <input
                  id={field}
                  name="name"
                  value={name}
                  maxLength={SUBJECT_MAX_CHARS}
                  autoComplete="off"
                  placeholder="A name"
                  onChange={(event) => setName(event.target.value)}
                />
                <button type="submit" className="button primary" disabled={name.trim() === ""}>
                  Sign in
                </button>
              </div>
            </form>
          </>
        ) : (
          <p className="quiet">
            This hub can be reached from other machines, so it gives out no tokens. Start <code>hub dev</code> without{" "}
            <code>--host</code> to use its chat here.
          </p>
        )}
      </div>
      <ThemeSwitch />
    </main>
  );
}
