"""Anthropic Messages over Bedrock's Converse operations: requests out, answers back."""
