"""The sender of webhooks: the only part of the hub that opens a connection, in a process of its own."""
