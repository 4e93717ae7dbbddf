"""The Bedrock simulator: wire-faithful, scriptable; demo upstream and independent judge.

It shares only the event-stream codec and the HTTP server with the product, and knows models, shapes
and refusals by itself (docs/decisions/0023).
"""
