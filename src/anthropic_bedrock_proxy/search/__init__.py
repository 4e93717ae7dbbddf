"""Searching the web: one port, and the back ends behind it."""
