"""The server-side caller of the chat: asks a model, and writes its answer through the hub. See README.md."""
