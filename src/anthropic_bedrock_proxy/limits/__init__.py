"""Rate limits: how much a name may use per time, and how many requests at once."""
