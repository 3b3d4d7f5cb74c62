// Whether what is on the screen is live. A short interruption is nobody's business: it is shown only when it lasts.
import { useConvexConnectionState } from "convex/react";
import { useEffect, useState } from "react";

const PATIENCE_MS = 800;
const LOOK_MS = 1_000;

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
  useReturn(!isWebSocketConnected && isLate);
  if (isWebSocketConnected || !isLate) return hasEverConnected || isWebSocketConnected ? "live" : "connecting";
  return "away";
}

/**
 * The client tries again less and less often, up to every 24 s; a hub that is started anew is there after two. So the page looks for
 * it, and tells the client in the way in which the browser tells that the network is back.
 */
function useReturn(isAway: boolean): void {
  useEffect(() => {
    if (!isAway) return;
    const look = async () => {
      if (document.visibilityState === "visible" && (await fetch("/ready")).ok) dispatchEvent(new Event("online"));
    };
    const timer = setInterval(() => void look().catch(() => undefined), LOOK_MS);
    return () => clearInterval(timer);
  }, [isAway]);
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
