"""The simulator's judgement of Anthropic bodies: InvokeModel and the Messages endpoints."""
