// The server-side caller that answers: it is asked over HTTP, and its reply comes, like everything, by the live query.
import { fetchToken } from "../people";

export class NoReply extends Error {}

export interface Asked {
  chatId: string;
  clientMessageId: string;
  content: string;
}

/** Resolves when the reply has ended. Raises NoReply with a reason to show. */
export async function ask(subject: string, { chatId, clientMessageId, content }: Asked): Promise<void> {
  const response = await post(subject, "/assistant/chat", { chatId, userMessage: { clientMessageId, content } });
  if (!response.ok) throw new NoReply(`The assistant answered with status ${response.status}.`);
  // What comes here is in the chat already. It is read because one that nobody reads comes to a halt.
  const reader = response.body?.getReader();
  try {
    while (reader !== undefined && !(await reader.read()).done);
  } catch {
    // cut off: the reply goes on without us
  }
}

/** So that no more is asked of the model. That the reply ends here is written in the chat, whether this arrives or not. */
export async function tellToStop(subject: string, chatId: string, messageId: string): Promise<void> {
  await post(subject, "/assistant/stop", { chatId, messageId }).catch(() => undefined);
}

async function post(subject: string, path: string, body: object): Promise<Response> {
  try {
    const token = await fetchToken(subject);
    return await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json", Authorization: `Bearer ${token}` },
      body: JSON.stringify(body),
    });
  } catch {
    throw new NoReply("The assistant cannot be reached.");
  }
}
