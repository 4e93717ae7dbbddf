"""The ASGI side: routes, request reading, error answers."""
