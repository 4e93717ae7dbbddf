"""Rewrites a request, within Anthropic's own language, for what a model on a dialect lacks."""
