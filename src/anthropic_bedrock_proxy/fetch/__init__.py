"""Fetching of URLs that clients name, without letting them reach what only the proxy can reach."""
