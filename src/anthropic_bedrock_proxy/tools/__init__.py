"""Tools that the proxy runs for models that cannot: each is a `ServerTool` of the turn loop."""
