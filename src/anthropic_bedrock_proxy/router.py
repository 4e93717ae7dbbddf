"""Paths to whatever serves them: the templates of every route, the admin API's included. Pure.

A template is a path whose segments may be variable: `{name}` stands for one segment, which is
handed over without its percent-encoding; `{name:path}`, at the end, for all that is left.

    router = Router([("/v1/models", listing), ("/v1/models/{model_id:path}", model)])
    router.find("/v1/models/a/b", b"/v1/models/a%2Fb")  ->  (model, {"model_id": "a/b"})

A path without variables is found by one look-up. Otherwise the first template that fits counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Generic, TypeVar
from urllib.parse import unquote

from .errors import MethodNotAllowedError, NotFoundError

T = TypeVar("T")
_MAX_SHOWN: Final = 200
_REST: Final = ":path}"
_NO_PARAMETERS: Final[Mapping[str, str]] = {}


class Router(Generic[T]):
    """The routes of a server, or of one part of it, each with its value."""

    def __init__(self, routes: Iterable[tuple[str, T]]) -> None:
        """`routes` are (template, value); no template may be there twice."""
        self._exact: dict[str, T] = {}
        self._templates: dict[str, tuple[list[str], T]] = {}
        for template, value in routes:
            known = self._templates if "{" in template else self._exact
            if template in known:
                raise ValueError(f"two routes for {template}")
            if "{" in template:
                self._templates[template] = (template.split("/"), value)
            else:
                self._exact[template] = value

    def find(self, path: str, raw_path: bytes) -> tuple[T, Mapping[str, str]]:
        """Returns the value for a path, and its variable segments by name.

        `path` is without percent-encoding, `raw_path` with it: a segment may hold an encoded slash.
        Raises `NotFoundError`.
        """
        value = self._exact.get(path)
        if value is not None:
            return value, _NO_PARAMETERS
        segments = raw_path.decode("latin-1").split("/")
        for template, candidate in self._templates.values():
            parameters = _match(template, segments)
            if parameters is not None:
                return candidate, parameters
        raise NotFoundError(f"No such path: {path[:_MAX_SHOWN]}")


def method_not_allowed(path: str, methods: Iterable[str]) -> MethodNotAllowedError:
    """Returns the error for a path that is not served with the method that was asked for."""
    allow = ", ".join(methods)
    return MethodNotAllowedError(f"{path[:_MAX_SHOWN]}: only {allow} is served here", allow=allow)


def _match(template: list[str], segments: list[str]) -> dict[str, str] | None:
    """Returns the variable segments of a path; None if the template does not fit."""
    parameters: dict[str, str] = {}
    for position, expected in enumerate(template):
        if expected.endswith(_REST):
            rest = unquote("/".join(segments[position:]))
            return parameters | {expected[1 : -len(_REST)]: rest} if rest else None
        if position == len(segments):
            return None
        segment = segments[position]
        if expected.startswith("{") and segment:
            parameters[expected[1:-1]] = unquote(segment)
        elif expected not in (segment, unquote(segment)):
            return None
    return parameters if len(template) == len(segments) else None
