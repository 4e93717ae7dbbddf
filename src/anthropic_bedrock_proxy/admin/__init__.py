"""The operations of operators: one place for the HTTP API and the command line."""
