"""The side of HTTP: routes, request reading, error answers."""
