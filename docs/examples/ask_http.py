"""Asks in a chat over HTTP, and waits for the assistant's reply.

python ask_http.py <address> <external id of a user> <chat id> <question>
"""

import sys
import time

from convex.http_client import ConvexHttpClient

address, external_id, chat_id, question = sys.argv[1:]
client = ConvexHttpClient(address)

user_id = client.mutation("users:ensure", {"externalId": external_id})["userId"]
chat = {"userId": user_id, "chatId": chat_id}
sent = client.mutation("messages:send", {**chat, "userMessage": {"content": question}})
print(f"sent {sent['userMessageId']}", flush=True)

while (last := client.query("messages:list", chat)[-1])["status"] != "complete" or last["role"] != "assistant":
    time.sleep(0.05)
print(f"{last['role']}: {last['content']}")
