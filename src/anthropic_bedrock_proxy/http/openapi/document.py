"""The OpenAPI 3.1 document: the routes as they are served, with what operations.py says of each.

It is made from the routes themselves, so nothing that is served can be missing:

    HTTPRoute("/v1/models/{model_id:path}", {"GET": get})
        -> paths["/v1/models/{model_id}"]["get"], its summary from get.__doc__

The one route of the admin API stands for its table of operations. OPTIONS, which every path
answers, is not repeated for each.
Source: OpenAPI Specification 3.1.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from ... import __version__
from ..application import Handler, HTTPRoute
from . import admin, schemas, state
from .answers import (
    ANYWHERE,
    WITH_KEY,
    error_answers,
    error_components,
    header_components,
    headers,
    reference,
)
from .operations import DESCRIPTION, TABLE, Description, Parameter

ADMIN: Final = "/admin/api/{rest}"
_SERVER_AS_A_WHOLE: Final = "*"  # no path
_ABOUT: Final = (
    "The Anthropic Messages API on Amazon Bedrock. Every path answers OPTIONS. Every error is "
    '`{"type": "error", "error": {"type", "message", "details"?}, "request_id"}` and says with '
    "`x-should-retry` whether trying again can help; other methods than those listed are a 405."
)
_TAGS: Final = {
    "Messages": "What the official SDKs call.",
    "Models": "What may be asked for.",
    "Files": "Files of code execution; a key sees its own alone.",
    "State": "What this is, and how it is. Needs no key.",
    DESCRIPTION: "This description.",
    admin.TAG: "Operations of operators: the master key, or a key with the scope.",
}


def make_document(
    routes: Iterable[HTTPRoute], *, key_header: str, known_as: Mapping[str, str]
) -> dict[str, Any]:
    """Returns the document; `key_header` is the header that carries keys.

    `known_as` are the names in operations.py of the paths that a setting has moved. Raises
    `KeyError` for a route that is not described there.
    """
    paths: dict[str, Any] = {}
    for route in routes:
        path = route.template.replace(":path}", "}")
        if path == ADMIN:
            paths |= admin.paths()
        elif path != _SERVER_AS_A_WHOLE:
            paths[path] = {
                method.lower(): _operation(known_as.get(path, path), method, handler)
                for method, handler in route.methods.items()
            }
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "anthropic-bedrock-proxy",
            "version": __version__,
            "description": _ABOUT,
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": about} for name, about in _TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": schemas.schemas() | state.schemas() | admin.schemas(),
            "headers": header_components(),
            "responses": error_components(),
            "securitySchemes": {
                "apiKey": {"type": "apiKey", "in": "header", "name": key_header},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _operation(path: str, method: str, handler: Handler) -> dict[str, Any]:
    said = TABLE[path, "GET" if method == "HEAD" else method]  # HEAD is as GET
    bare = method == "HEAD"
    summary = (handler.__doc__ or said.id).partition("\n")[0]
    content = {kind: {"schema": schema} for kind, schema in said.content.items()}
    answer: dict[str, Any] = {"description": summary, "headers": headers(*said.headers)}
    failures = [*ANYWHERE, *said.failures, *(WITH_KEY if said.keyed else ())]
    security: list[dict[str, list[str]]] = []
    if said.keyed:
        security = [{"apiKey": []}, {"bearer": []}]
    elif said.may_need_token:
        security = [{}, {"bearer": []}]
        failures.append(401)
    answers: dict[str, Any] = {"200": answer} | error_answers(failures)
    if not bare:
        answer["content"] = content
    if said.unwell:
        answers["503"] = _unwell(summary, said)
    told: dict[str, Any] = {
        "operationId": f"{said.id}.head" if bare else said.id,
        "summary": summary,
        "tags": [said.tag],
        "security": security,
        "parameters": [_parameter(each) for each in said.parameters],
        "responses": answers,
    }
    if said.about:
        told["description"] = said.about
    if said.body is not None:
        kind, schema, example = said.body
        told["requestBody"] = {
            "required": said.body_needed,
            "content": {kind: {"schema": schema, "example": example}},
        }
    return told


def _unwell(summary: str, said: Description) -> dict[str, Any]:
    """Returns the answer 503 of a path that tells how something is: its document, or an error."""
    shapes = [*said.content.values(), reference("schemas", "Error")]
    content = {"application/json": {"schema": {"anyOf": shapes}}}
    return {"description": summary, "headers": headers(), "content": content}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.about,
        "required": parameter.needed,
        "schema": parameter.schema,
    }
