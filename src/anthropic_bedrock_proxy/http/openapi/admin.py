"""The operations of the admin API, described from its table: one path each in place of one route.

Bodies and queries are the msgspec types that decode them; answers are told by the resource.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from ...admin.call import Nothing
from ...admin.table import OPERATIONS, Operation
from ...money import MOST_USD
from .answers import (
    ANYWHERE,
    WITH_BODY,
    WITH_KEY,
    error_answers,
    headers,
    reference,
)
from .schemas import array, optional, record

TAG: Final = "Admin"
_TEXT: Final = {"type": "string"}
_MONEY: Final = {"type": "number", "description": "US dollars, up to nine digits after the point."}
_REMOVED: Final = record("A removal.", {"removed": {"const": True}})
# The words of Python's patterns that ECMA-262, and so JSON Schema, does not have.
_END: Final = re.compile(r"\\Z")
_VALUES: Final = {"kind": ["key", "user", "team"]}  # of path segments that are one of a few
_BODY_MAY_BE_MISSING: Final = ("keys.rotate",)  # all its fields have defaults
_REFUSED: Final = (404, 409)
# A body that works for each operation that wants one.
EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "keys.create": {"name": "laptop", "rate_limit": 60, "monthly_budget_usd": 20},
    "keys.update": {"rate_limit": 120},
    "keys.rotate": {"overlap_seconds": 60},
    "users.create": {"id": "ann", "name": "Ann"},
    "users.update": {"monthly_budget_usd": 50},
    "teams.create": {"id": "red", "name": "Red"},
    "teams.update": {"is_active": True},
    "prices.sync": {
        "source": "https://example.com/prices.json",
        "text": "model,place,input,output\nanthropic.claude-opus-5,us,5.5,27.5\n",
    },
    "prices.set": {"model": "claude-haiku-4-5", "input_usd": 1, "output_usd": 5},
    "models.map": {"alias": "fast", "bedrock_id": "us.anthropic.claude-haiku-4-5-20251001-v1:0"},
    "models.sync_mappings": {
        "source": "https://example.com/names.json",
        "mappings": {"fast": "us.anthropic.claude-haiku-4-5-20251001-v1:0"},
    },
    "models.sync": {
        "models": [{"id": "anthropic.claude-opus-4-6-v1", "name": "Opus", "provider": "Anthropic"}]
    },
    "betas.put": {"name": "fast-mode-2026-02-01", "allowed": False, "reason": "not bought"},
    "providers.add": {"name": "west", "region": "us-west-2"},
}


def paths() -> dict[str, Any]:
    """Returns the path items of all operations."""
    items: dict[str, Any] = {}
    for operation in OPERATIONS:
        items.setdefault(operation.path, {})[operation.method.lower()] = _described(operation)
    return items


def schemas() -> dict[str, Any]:
    """Returns the schemas that the operations name."""
    kinds = {operation.body for operation in OPERATIONS} - {Nothing}
    return _components(kinds) | {
        "ApiKey": record(
            "An API key; `key`, its secret, only where it was just made.",
            {"id": _TEXT, "name": _TEXT, "is_active": {"type": "boolean"}, "created_at": _TEXT},
            key=_TEXT,
            secret_hint=_TEXT,
            user_id=optional(_TEXT),
            team_id=optional(_TEXT),
            expires_at=optional(_TEXT),
            rate_limit=optional({"type": "integer"}),
            monthly_budget_usd=optional(_MONEY),
        ),
        "Owner": record(
            "A user or a team.",
            {"id": _TEXT, "name": _TEXT, "kind": {"enum": ["user", "team"]}},
            is_active={"type": "boolean"},
            monthly_budget_usd=optional(_MONEY),
        ),
        "Price": record(
            "A price, per million tokens.",
            {"model": _TEXT, "region": _TEXT, "input_usd": _MONEY, "output_usd": _MONEY},
            place=_TEXT,
            source={"enum": ["store", "synced", "shipped"]},
        ),
        "Override": record(
            "What a model is taken to accept, or not.",
            {"name": _TEXT, "allowed": {"type": "boolean"}},
            kind=_TEXT,
            source={"enum": ["table", "operator", "learned"]},
        ),
        "Provider": record(
            "An account and a region; credentials are masked.",
            {"name": _TEXT, "region": optional(_TEXT)},
        ),
    }


def _answer(operation: Operation) -> dict[str, Any]:
    """Returns the schema of what an operation answers."""
    resource, _, verb = operation.name.partition(".")
    listed = {"keys": "ApiKey", "users": "Owner", "teams": "Owner"}
    named = listed | {"prices": "Price", "betas": "Override", "providers": "Provider"}
    if verb == "remove" or operation.name == "models.unmap":
        return _REMOVED
    if operation.name in _ANSWERS:
        return _ANSWERS[operation.name]
    if verb == "list":
        return record(f"The {resource}.", {resource: array(reference("schemas", named[resource]))})
    return reference("schemas", named[resource])


_OBJECT: Final = {"type": "object"}
_ANSWERS: Final[dict[str, dict[str, Any]]] = {
    "usage.totals": record("Sums of usage.", {"rows": array(_OBJECT), "total": _OBJECT}),
    "usage.records": record("Usage records.", {"records": array(_OBJECT), "next": optional(_TEXT)}),
    "requests.get": record(
        "What happened to a request.",
        {"id": _TEXT, "source": _TEXT, "explanation": array(_TEXT), "facts": _OBJECT},
    ),
    "budgets.standing": record("Budgets now.", {"id": _TEXT, "budgets": array(_OBJECT)}),
    "budgets.history": record("Budgets before.", {"id": _TEXT, "history": array(_OBJECT)}),
    "models.list": record(
        "The models.",
        {"models": array(_OBJECT), "mapped": array(_OBJECT), "chains": array(_OBJECT)},
    ),
    "models.map": record("A mapping.", {"alias": _TEXT, "bedrock_id": _TEXT}),
    "prices.sync": record(
        "What a list changes.",
        {"source": _TEXT, "synced_at": _TEXT, "rows": {"type": "integer"}},
        **{kind: array(_OBJECT) for kind in ("new", "changed", "gone")},
        stored={"type": "boolean"},
    ),
    "models.sync": record(
        "What is offered.",
        {"models": array(_OBJECT), "new": array(_TEXT), "gone": array(_TEXT)},
        changed=array(_OBJECT),
        stored={"type": "boolean"},
    ),
    "models.sync_mappings": record(
        "What fetched names change.",
        {"source": _TEXT, "synced_at": _TEXT, "mappings": {"type": "integer"}},
        **{kind: array(_TEXT) for kind in ("new", "changed", "gone", "left_out")},
        stored={"type": "boolean"},
    ),
    "betas.list": {
        "type": "object",
        "description": "The overrides of the kind that was asked for, under its name.",
        "properties": {
            name: array(reference("schemas", "Override")) for name in ("betas", "fields", "tiers")
        },
    },
    "betas.forget": record("What was forgotten.", {"forgotten": array(_OBJECT)}),
    "audit.list": record("The audit log.", {"records": array(_OBJECT), "next": optional(_TEXT)}),
}
_MADE: Final = ("keys.create", "users.create", "teams.create", "providers.add")


def _described(operation: Operation) -> dict[str, Any]:
    summary = (operation.run.__doc__ or operation.name).strip().partition("\n")[0]
    errors = (*ANYWHERE, *WITH_KEY, *_REFUSED, *(WITH_BODY if operation.writes else ()))
    content: dict[str, Any] = {"application/json": {"schema": _answer(operation)}}
    names: tuple[str, ...] = ()
    if operation.name == "usage.records":
        content |= {"text/csv": {"schema": _TEXT}, "application/jsonl": {"schema": _TEXT}}
        names = ("x-next-after",)
    made = {"description": summary, "headers": headers(*names), "content": content}
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": summary,
        "description": f"Scope: `{operation.scope}`.",
        "tags": [TAG],
        "security": [{"apiKey": [operation.scope]}, {"bearer": [operation.scope]}],
        "parameters": [*_segments(operation.path), *_query(operation.query)],
        "responses": {"201" if operation.name in _MADE else "200": made} | error_answers(errors),
    }
    if operation.body is not Nothing:
        body: dict[str, Any] = {"schema": reference("schemas", operation.body.__name__)}
        if operation.name in EXAMPLES:
            body["example"] = EXAMPLES[operation.name]
        needed = operation.name not in _BODY_MAY_BE_MISSING
        described["requestBody"] = {"required": needed, "content": {"application/json": body}}
    return described


def _segments(path: str) -> Iterable[dict[str, Any]]:
    for name in re.findall(r"\{(\w+)\}", path):
        schema: dict[str, Any] = {"type": "string", "minLength": 1}
        if name in _VALUES:
            schema = {"enum": _VALUES[name]}
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _query(kind: type[msgspec.Struct]) -> Iterable[dict[str, Any]]:
    shape = _components([kind])[kind.__name__]
    for name, schema in shape["properties"].items():
        # A query cannot say null: what is optional is left out.
        some = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
        plain = some[0] if some else schema
        needed = name in shape["required"]
        yield {"name": name, "in": "query", "required": needed, "schema": plain}


def _components(kinds: Iterable[type[msgspec.Struct]]) -> dict[str, Any]:
    ordered = sorted(kinds, key=lambda kind: kind.__name__)
    template = "#/components/schemas/{name}"
    _, components = msgspec.json.schema_components(ordered, ref_template=template)
    plain: dict[str, Any] = _plain(components)
    return plain


def _plain(schema: Any) -> Any:
    """Returns a schema of msgspec's in the words of JSON Schema."""
    if isinstance(schema, list):
        return [_plain(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("format") == "decimal":
        return {"type": "number", "minimum": 0, "maximum": MOST_USD}
    changed = {name: _plain(value) for name, value in schema.items()}
    if isinstance(changed.get("pattern"), str):
        changed["pattern"] = _END.sub("$", changed["pattern"])
    return changed
