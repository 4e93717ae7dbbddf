"""LiteLLM's proxy: its config.yaml, and what its API lists of keys, users and teams."""
