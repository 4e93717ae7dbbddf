"""Exceptions to models.toml: learned from refusals, or set by the operator."""
