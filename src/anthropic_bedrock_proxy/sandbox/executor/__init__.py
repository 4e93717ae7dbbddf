"""The executor: the process that runs sandboxes, and its HTTP API."""
