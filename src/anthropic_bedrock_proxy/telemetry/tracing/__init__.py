"""Traces: spans made from the timelines of requests that have ended, and their export."""
