"""Metrics: counted in memory that the workers share, rendered when somebody scrapes."""
