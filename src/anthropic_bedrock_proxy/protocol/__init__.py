"""Pure conversions between bytes and Anthropic's messages and events: no I/O, no clock, no settings."""
