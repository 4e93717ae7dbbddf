"""Answers on their way to the client."""
