"""Failover: which target to try next."""
