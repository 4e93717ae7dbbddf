"""Which target to try next."""
