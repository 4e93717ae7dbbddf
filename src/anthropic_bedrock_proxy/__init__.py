"""Speaks the Anthropic Messages API to clients and runs their requests on Amazon Bedrock."""

__version__ = "0.2.0"
