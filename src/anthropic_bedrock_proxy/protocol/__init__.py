"""Pure conversions between bytes, messages and events: no I/O, no clock, no settings."""
