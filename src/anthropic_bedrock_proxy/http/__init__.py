"""The HTTP side: the server (`server/`), routes, reading of bodies, error answers."""
