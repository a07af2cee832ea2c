"""The process that sends messages for the server, which knows no blocks. Started by it, and gone with it."""
