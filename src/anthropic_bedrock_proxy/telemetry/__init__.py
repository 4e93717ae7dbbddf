"""Telemetry: logs; metrics and traces follow."""
