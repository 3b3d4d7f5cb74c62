// Asks once, and then the chat is gone from every tab. A long one is removed in several calls; its row goes last.
import { Dialog } from "../parts/Dialog";
import { go } from "../route";
import { useRemove, type Chat } from "./sending";

export function DeleteDialog({ chat, isShown, onClose }: { chat: Chat; isShown: boolean; onClose: () => void }) {
  const remove = useRemove();
  const confirm = async () => {
    onClose();
    if (isShown) go({ at: "new" }, "replace");
    while (!(await remove({ chatId: chat._id })).done);
  };
  return (
    <Dialog label="Delete chat" onClose={onClose}>
      <h2>Delete this chat?</h2>
      <p>
        <strong>{chat.title}</strong> and everything in it will be gone, on every tab.
      </p>
      <div className="dialog-actions">
        <button type="button" className="button" onClick={onClose} autoFocus>
          Keep it
        </button>
        <button type="button" className="button danger" onClick={() => void confirm()}>
          Delete
        </button>
      </div>
    </Dialog>
  );
}
