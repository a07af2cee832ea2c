"""What you type; one file per noun. Starts the server and the agent as processes and imports neither."""
