// Drives the published `ai` package: `node assistant.mjs <address of the assistant> <token> <chat id>`.
//
// Reads one command a line on stdin, writes one event a line on stdout: a headless chat, as `useChat` has one inside.
import { AbstractChat, DefaultChatTransport } from "ai";
import { createInterface } from "node:readline";

const [address, token, chatId] = process.argv.slice(2);
const emit = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);

// What React's state would hold.
class State {
  #messages = [];
  #status = "ready";
  error;

  get status() {
    return this.#status;
  }
  set status(status) {
    this.#status = status;
    emit({ event: "status", status });
  }
  get messages() {
    return this.#messages;
  }
  set messages(messages) {
    this.#messages = messages;
    this.#show();
  }
  pushMessage = (message) => {
    this.messages = [...this.#messages, message];
  };
  popMessage = () => {
    this.messages = this.#messages.slice(0, -1);
  };
  replaceMessage = (index, message) => {
    this.messages = this.#messages.with(index, structuredClone(message));
  };
  snapshot = (thing) => structuredClone(thing);

  #show() {
    const messages = this.#messages.map(({ id, role, metadata, parts }) => ({
      id,
      role,
      metadata,
      text: parts.map((part) => (part.type === "text" ? part.text : "")).join(""),
    }));
    emit({ event: "messages", messages });
  }
}

class Chat extends AbstractChat {
  constructor(init) {
    super({ ...init, state: new State() });
  }
}

const transport = new DefaultChatTransport({
  api: `${address}/chat`,
  headers: { Authorization: `Bearer ${token}` },
  fetch: async (...request) => {
    const response = await fetch(...request);
    emit({ event: "response", status: response.status, header: response.headers.get("x-vercel-ai-ui-message-stream") });
    return response;
  },
});
const chat = new Chat({
  id: chatId,
  transport,
  onError: (error) => emit({ event: "error", message: error.message }),
  onFinish: ({ message, isAbort, isDisconnect, isError }) =>
    emit({ event: "finished", id: message.id, isAbort, isDisconnect, isError }),
});

const commands = {
  send: ({ text, id }) => chat.sendMessage({ id, role: "user", parts: [{ type: "text", text }] }),
  regenerate: () => chat.regenerate(),
  resume: () => chat.resumeStream(),
  drop: () => chat.stop(),
};

emit({ event: "started" });
for await (const line of createInterface({ input: process.stdin })) {
  const { op, ...rest } = JSON.parse(line);
  void commands[op](rest).then(() => emit({ event: "done", op }));
}
