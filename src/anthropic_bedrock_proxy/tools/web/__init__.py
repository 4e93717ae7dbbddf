"""Web search and web fetch: tools that Anthropic's API runs for the model, and Bedrock does not."""
