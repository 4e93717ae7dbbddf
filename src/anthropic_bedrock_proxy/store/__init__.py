"""Where keys and usage live: narrow ports and their implementations."""
