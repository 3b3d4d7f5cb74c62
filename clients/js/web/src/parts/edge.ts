// The end of a list that goes on: when it comes near the screen, more is asked for.
import { useEffect, useRef, type RefObject } from "react";

const MARGIN = "600px";

export function useEdge(more: (() => void) | null): RefObject<HTMLDivElement | null> {
  const edge = useRef<HTMLDivElement>(null);
  const latest = useRef(more);
  latest.current = more;
  const isOpen = more !== null;
  useEffect(() => {
    const element = edge.current;
    if (element === null || !isOpen) return;
    const observer = new IntersectionObserver(
      (entries) => {
        if (entries.some((entry) => entry.isIntersecting)) latest.current?.();
      },
      { root: element.parentElement, rootMargin: MARGIN },
    );
    observer.observe(element);
    return () => observer.disconnect();
  }, [isOpen]);
  return edge;
}
