// Asks in a chat over HTTP, and waits for the assistant's reply.
//
//     node ask.mjs <address> <external id of a user> <chat id> <question>
import { ConvexHttpClient } from "convex/browser";
import { anyApi as api } from "convex/server";

const [address, externalId, chatId, question] = process.argv.slice(2);
const client = new ConvexHttpClient(address);

const { userId } = await client.mutation(api.users.ensure, { externalId });
const sent = await client.mutation(api.messages.send, { userId, chatId, userMessage: { content: question } });
console.log(`sent ${sent.userMessageId}`);

// A query over HTTP is asked once. It sees every write that was answered before it came.
for (;;) {
  const messages = await client.query(api.messages.list, { userId, chatId });
  const last = messages.at(-1);
  if (last.role === "assistant" && last.status === "complete") {
    for (const { role, content } of messages) console.log(`${role}: ${content}`);
    break;
  }
  await new Promise((resolve) => setTimeout(resolve, 50));
}
