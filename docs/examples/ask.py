"""Asks in a chat over a WebSocket, and shows the assistant's reply as it is streamed in.

python ask.py <address> <external id of a user> <chat id> <question>
"""

import sys

from convex import ConvexClient

address, external_id, chat_id, question = sys.argv[1:]
client = ConvexClient(address)

user_id = client.mutation("users:ensure", {"externalId": external_id})["userId"]
chat = {"userId": user_id, "chatId": chat_id}
sent = client.mutation("messages:send", {**chat, "userMessage": {"content": question}})
print(f"sent {sent['userMessageId']}", flush=True)

for messages in client.subscribe("messages:list", chat):
    last = messages[-1]
    print(f"{last['role']}: {last['content']}{' …' if last['status'] == 'streaming' else ''}", flush=True)
    if last["role"] == "assistant" and last["status"] == "complete":
        break
