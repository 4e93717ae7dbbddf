"""Bedrock's native dialects: InvokeModel and the two Messages endpoints."""
