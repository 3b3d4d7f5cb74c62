// What is shown where a chat cannot be.
import { go, hrefOf } from "../route";

export function ChatGone() {
  return (
    <div className="notice-page">
      <h2>This chat is not here</h2>
      <p className="quiet">It was deleted, or it is somebody else&rsquo;s.</p>
      <a className="button" href={hrefOf({ at: "new" })}>
        Start a new one
      </a>
    </div>
  );
}

export function Troubled({ error, onAgain, onSignOut }: { error: Error; onAgain: () => void; onSignOut: () => void }) {
  const startAgain = () => {
    go({ at: "home" }, "replace");
    onAgain();
  };
  return (
    <main className="welcome">
      <div className="welcome-card" role="alert">
        <h1>This did not work</h1>
        <p className="quiet">{error.message}</p>
        <div className="field-row">
          <button type="button" className="button primary" onClick={startAgain}>
            Try again
          </button>
          <button type="button" className="button" onClick={onSignOut}>
            Sign in as somebody else
          </button>
        </div>
      </div>
    </main>
  );
}
