// Whether what is on the screen is live. A short interruption is nobody's business: it is shown only when it lasts.
import { useConvexConnectionState } from "convex/react";
import { useEffect, useState } from "react";

const PATIENCE_MS = 800;

export type Connection = "live" | "connecting" | "away";

export function useConnection(): Connection {
  const { isWebSocketConnected, hasEverConnected } = useConvexConnectionState();
  const [isLate, setIsLate] = useState(false);
  useEffect(() => {
    if (isWebSocketConnected) {
      setIsLate(false);
      return;
    }
    const timer = setTimeout(() => setIsLate(true), PATIENCE_MS);
    return () => clearTimeout(timer);
  }, [isWebSocketConnected]);
  if (isWebSocketConnected || !isLate) return hasEverConnected || isWebSocketConnected ? "live" : "connecting";
  return "away";
}

const WORDS: Record<Connection, string> = { live: "Live", connecting: "Connecting", away: "Reconnecting" };

export function ConnectionMark({ connection }: { connection: Connection }) {
  return (
    <span className={`connection ${connection}`} role="status" aria-label={`Connection: ${WORDS[connection]}`}>
      <span className="connection-dot" aria-hidden="true" />
      {WORDS[connection]}
    </span>
  );
}
