"""The Messages API on HTTP: its handlers, and its shapes of events, errors and headers."""
