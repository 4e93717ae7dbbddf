"""Answers of Converse and ConverseStream -> Anthropic's messages and events."""
