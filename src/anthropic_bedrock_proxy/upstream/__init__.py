"""The upstreams that the gateway calls: Bedrock, or a fake of it."""
