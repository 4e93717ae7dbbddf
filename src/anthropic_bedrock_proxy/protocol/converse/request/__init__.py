"""Anthropic Messages -> the body of Converse and ConverseStream."""
