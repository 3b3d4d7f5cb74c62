// An assistant: it watches a chat over a WebSocket, and streams a reply to every message of the user as it comes in.
//
//     node assistant.mjs <address> <external id of a user> [<replies to give>]
//
// Prints the chat's id first: whoever knows it can write to the chat (ask.mjs, ask.py, curl).
import { ConvexClient } from "convex/browser";
import { anyApi as api } from "convex/server";

const [address, externalId, replies = "Infinity"] = process.argv.slice(2);
const client = new ConvexClient(address);

const { userId } = await client.mutation(api.users.ensure, { externalId });
const { chatId } = await client.mutation(api.chats.create, { userId, title: "A question" });
console.log(`chat ${chatId}`);

const shown = new Map();
const answered = new Set();

client.onUpdate(api.messages.list, { userId, chatId }, (messages) => {
  for (const { _id, role, content, status } of messages) {
    const line = `${role}: ${content}${status === "streaming" ? " …" : ""}`;
    if (shown.get(_id) !== line) console.log(line);
    shown.set(_id, line);
    if (role === "user" && !answered.has(_id)) {
      answered.add(_id);
      void reply(_id, content);
    }
  }
});

// Each step brings what is new, and where in the text it belongs. A step that is repeated changes nothing.
async function reply(messageId, question) {
  const words = `You said ${question}`.split(" ");
  let written = "";
  for (let count = 2; count <= words.length; count++) {
    const text = words.slice(0, count).join(" ");
    await client.mutation(api.messages.streamUpsert, {
      userId,
      chatId,
      clientMessageId: `reply to ${messageId}`,
      role: "assistant",
      delta: text.slice(written.length),
      offset: written.length,
      status: count < words.length ? "streaming" : "complete",
    });
    written = text;
  }
  if (answered.size >= Number(replies)) await client.close();
}
