"""The request log: what happened to each request, for `explain`; bounded, without prompts."""
