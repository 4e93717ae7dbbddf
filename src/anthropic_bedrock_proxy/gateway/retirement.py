"""The end of a model, where a client meets it."""

from __future__ import annotations

from ..errors import NotFoundError, ProxyError
from ..models.registry import Registry, Route


def explained(error: ProxyError, route: Route, registry: Registry) -> ProxyError:
    """Adds to AWS's word that there is no such model when it retires, and what there is instead."""
    if not route.retires or route.model is None or not isinstance(error, NotFoundError):
        return error
    newest = registry.newest_of_line(route.model)
    instead = f"the newest of its line here is {newest.id}" if newest else "see GET /v1/models"
    # Who reads the first words only, as programs do, finds AWS's.
    return NotFoundError(f"{error.message} ({route.retires}; {instead})", cause=error.cause)
