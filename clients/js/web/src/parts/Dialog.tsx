// A modal dialog of the browser's own: it keeps the focus inside, closes with Escape, and gives the focus back.
import { useEffect, useRef, type ReactNode } from "react";

export function Dialog({ label, onClose, children }: { label: string; onClose: () => void; children: ReactNode }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const element = dialog.current;
    element?.showModal();
    return () => element?.close();
  }, []);
  return (
    <dialog
      ref={dialog}
      className="dialog"
      aria-label={label}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => {
        if (event.target === dialog.current) onClose(); // the ground around it
      }}
    >
      <div className="dialog-body">{children}</div>
    </dialog>
  );
}
