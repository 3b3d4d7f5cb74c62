// The frame of a side bar. On a phone it is the whole page while nothing else is shown, and then it is the main thing for a screen
// reader as well.
import { useSyncExternalStore, type ReactNode } from "react";

const NARROW = matchMedia("(max-width: 719px)"); // as in the style sheets

function useIsNarrow(): boolean {
  return useSyncExternalStore(
    (changed) => {
      NARROW.addEventListener("change", changed);
      return () => NARROW.removeEventListener("change", changed);
    },
    () => NARROW.matches,
  );
}

export function SideBar({ title, isAlone, children }: { title: string; isAlone: boolean; children: ReactNode }) {
  const isMain = useIsNarrow() && isAlone;
  return (
    <div className="sidebar" role={isMain ? "main" : "complementary"} aria-label={title}>
      {isMain && <h1 className="visually-hidden">{title}</h1>}
      {children}
    </div>
  );
}
