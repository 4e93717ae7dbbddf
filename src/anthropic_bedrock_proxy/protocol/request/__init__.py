"""A client's request: types, checks, estimates; read as little as possible."""
