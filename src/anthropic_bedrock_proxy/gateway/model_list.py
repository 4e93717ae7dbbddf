"""GET /v1/models: the models that a key may ask for, in the shape of Anthropic's Models API.

The operator's own names come first, then the models of the table, newest first. Whatever name
`POST /v1/messages` takes, `retrieve` describes: aliases under their model's id, every other name
(mapped ones, Bedrock ids, ARNs, `NAME[1m]`) under itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final

from ..errors import InvalidRequestError, NotFoundError, ProxyError
from ..models.registry import Registry, Route
from ..models.table import Model, line_of
from ..store.base.callers import Caller
from .admission.permissions import NOT_ALLOWED, check_model

_DEFAULT_LIMIT: Final = 20
_MAX_LIMIT: Final = 1000
_DEFAULT_LIFECYCLES: Final = ("active", "deprecated")
_LIFECYCLES: Final = (*_DEFAULT_LIFECYCLES, "retired")
_UNKNOWN_DATE: Final = "1970-01-01"
# Leaf of `capabilities` -> the feature of models.toml that says so.
_FEATURES: Final = {
    "citations": "citations",
    "image_input": "images",
    "pdf_input": "documents",
    "structured_outputs": "structured_output",
}
_EDITS: Final = {
    "clear_tool_uses_20250919": "context-management-2025-06-27",
    "clear_thinking_20251015": "context-management-2025-06-27",
    "compact_20260112": "compact-2026-01-12",
}


def utc_day() -> date:
    """Returns the day, as AWS counts days."""
    return datetime.now(UTC).date()


class ModelList:
    """The models, as clients see them."""

    def __init__(
        self,
        registry: Registry,
        *,
        server_tools: Collection[str] = (),
        today: Callable[[], date] = utc_day,
    ) -> None:
        """`server_tools` are the kinds that the proxy runs itself, e.g. `code_execution`."""
        self._registry = registry
        self._server_tools = server_tools
        self._today = today

    def retrieve(self, name: str, caller: Caller | None) -> dict[str, Any]:
        """Describes one model. Raises `NotFoundError` for what the key may not use, too."""
        try:
            route = self._registry.route(name)
            if caller is not None:
                check_model(caller.key, route)
        except InvalidRequestError as error:
            if error.error_code != NOT_ALLOWED:
                raise
            raise NotFoundError(f"model: {name[:200]}") from None
        model = route.model
        if model is not None and name in model.aliases and name not in self._registry.names.mapping:
            name = model.id
        return self._shape(name, model, route)

    def page(self, query: Mapping[str, Sequence[str]], caller: Caller | None) -> dict[str, Any]:
        """Returns one page, by `limit`, `after_id`, `before_id` and `lifecycle[]`.

        Raises `InvalidRequestError`.
        """
        wanted = query.get("lifecycle[]") or query.get("lifecycle") or _DEFAULT_LIFECYCLES
        for lifecycle in wanted:
            if lifecycle not in _LIFECYCLES:
                raise InvalidRequestError(f"lifecycle: must be one of {', '.join(_LIFECYCLES)}")
        models = [one for one in self._all(caller) if one["lifecycle"] in wanted]
        limit = _limit(query)
        after, before = query.get("after_id"), query.get("before_id")
        if after and before:
            raise InvalidRequestError("after_id and before_id: give one of them, not both")
        if before:
            end = _position(models, before[0], "before_id")
            start = max(0, end - limit)
            page, has_more = models[start:end], start > 0
        else:
            start = _position(models, after[0], "after_id") + 1 if after else 0
            page, has_more = models[start : start + limit], start + limit < len(models)
        return {
            "data": page,
            "has_more": has_more,
            "first_id": page[0]["id"] if page else None,
            "last_id": page[-1]["id"] if page else None,
        }

    def _all(self, caller: Caller | None) -> Iterator[dict[str, Any]]:
        """Yields every model that the key may use and that can be reached from here."""
        mapped = self._registry.names.mapping
        for name in dict.fromkeys((*mapped, *(model.id for model in self._registry.models))):
            try:
                route = self._registry.route(name)
                if caller is not None:
                    check_model(caller.key, route)
            except ProxyError:
                continue
            yield self._shape(name, route.model, route)

    def _shape(self, name: str, model: Model | None, route: Route) -> dict[str, Any]:
        shape: dict[str, Any] = {
            "id": name,
            "type": "model",
            "display_name": model.display_name if model else name,
            "created_at": _moment(model.created_at if model else _UNKNOWN_DATE),
            "max_input_tokens": model.context_tokens if model else None,
            "max_tokens": model.output_tokens if model else None,
            # By the day: a worker may outlive a model.
            "lifecycle": model.lifecycle_on(self._today()) if model else "active",
            "deprecated_at": None,  # AWS tells the end, not when it was announced
            "retires_at": _moment(model.ends_at) if model and model.ends_at else None,
            "line": line_of(route.base_model_id),
        }
        if not route.opaque:
            shape["capabilities"] = self._capabilities(route)
        return shape

    def _capabilities(self, route: Route) -> dict[str, Any]:
        """Tells what the model can, on the first target that its requests go to."""
        able = route.targets[0].capabilities
        has = able.features.__contains__
        native = has("claude")
        edits = {name: native and flag in able.betas for name, flag in _EDITS.items()}
        effort = has("effort") or has("effort_beta")
        thinking = {
            "adaptive": has("thinking_adaptive"),
            "between_tools": has("thinking_between_tools"),
            "disabled": has("thinking_disabled"),
            "enabled": has("thinking_enabled"),
        }
        runs_code = has("tools") and "code_execution" in self._server_tools
        searches = has("tools") and "web_search" in self._server_tools
        return {
            "batch": _leaf(False),
            **{name: _leaf(has(feature)) for name, feature in _FEATURES.items()},
            "code_execution": _leaf(runs_code),
            "context_management": _branch(edits),
            "effort": _branch(
                {
                    **dict.fromkeys(("low", "medium", "high"), effort),
                    "xhigh": has("effort_xhigh"),
                    "max": has("effort_max"),
                }
            ),
            "server_tools": _branch({"code_execution": runs_code, "web_search": searches}),
            "thinking": {
                **_leaf(thinking["enabled"] or thinking["adaptive"]),
                "types": {name: _leaf(is_so) for name, is_so in thinking.items()},
            },
        }


def _leaf(supported: bool) -> dict[str, bool]:
    return {"supported": supported}


def _branch(leaves: Mapping[str, bool]) -> dict[str, Any]:
    return {
        "supported": any(leaves.values()),
        **{name: _leaf(supported) for name, supported in leaves.items()},
    }


def _moment(day: str) -> str:
    return f"{day}T00:00:00Z"


def _limit(query: Mapping[str, Sequence[str]]) -> int:
    text = query.get("limit", [str(_DEFAULT_LIMIT)])[0]
    if not text.isdecimal() or len(text) > len(str(_MAX_LIMIT)) or not 1 <= int(text) <= _MAX_LIMIT:
        raise InvalidRequestError(f"limit: must be a number from 1 to {_MAX_LIMIT}")
    return int(text)


def _position(models: Sequence[Mapping[str, Any]], model_id: str, name: str) -> int:
    for index, model in enumerate(models):
        if model["id"] == model_id:
            return index
    raise InvalidRequestError(f"{name}: no model {model_id[:200]}")
