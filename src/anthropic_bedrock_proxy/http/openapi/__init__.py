"""The description of the API for programs and people: OpenAPI 3.1, made when it is asked for."""
