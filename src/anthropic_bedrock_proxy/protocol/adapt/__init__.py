"""Rewrites of requests, within Anthropic's own language, for what a model on a dialect lacks."""
