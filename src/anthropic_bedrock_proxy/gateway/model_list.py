"""GET /v1/models: the registry in the shape of Anthropic's Models API, with its paging."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ..errors import InvalidRequestError, NotFoundError
from ..models.registry import Registry
from ..models.table import Model

_DEFAULT_LIMIT: Final = 20
_MAX_LIMIT: Final = 1000
_DEFAULT_LIFECYCLES: Final = ("active", "deprecated")
_LIFECYCLES: Final = (*_DEFAULT_LIFECYCLES, "retired")


def retrieve(registry: Registry, name: str) -> dict[str, Any]:
    """Returns one model, by id or alias. Raises `NotFoundError`."""
    model = registry.find(name)
    if model is None:
        raise NotFoundError(f"model: {name[:200]}")
    return _shape(model)


def list_models(registry: Registry, query: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Returns one page, by `limit`, `after_id`, `before_id` and `lifecycle[]`.

    Raises `InvalidRequestError`.
    """
    wanted = query.get("lifecycle[]") or query.get("lifecycle") or _DEFAULT_LIFECYCLES
    for lifecycle in wanted:
        if lifecycle not in _LIFECYCLES:
            raise InvalidRequestError(f"lifecycle: must be one of {', '.join(_LIFECYCLES)}")
    models = [model for model in registry.models if model.lifecycle in wanted]
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
        "data": [_shape(model) for model in page],
        "has_more": has_more,
        "first_id": page[0].id if page else None,
        "last_id": page[-1].id if page else None,
    }


def _limit(query: Mapping[str, Sequence[str]]) -> int:
    text = query.get("limit", [str(_DEFAULT_LIMIT)])[0]
    if not text.isdecimal() or len(text) > len(str(_MAX_LIMIT)) or not 1 <= int(text) <= _MAX_LIMIT:
        raise InvalidRequestError(f"limit: must be a number from 1 to {_MAX_LIMIT}")
    return int(text)


def _position(models: Sequence[Model], model_id: str, name: str) -> int:
    for index, model in enumerate(models):
        if model.id == model_id:
            return index
    raise InvalidRequestError(f"{name}: no model {model_id[:200]}")


def _shape(model: Model) -> dict[str, Any]:
    return {
        "id": model.id,
        "type": "model",
        "display_name": model.display_name,
        "created_at": f"{model.created_at}T00:00:00Z",
        "max_input_tokens": model.context_tokens,
        "max_tokens": model.output_tokens,
        "lifecycle": model.lifecycle,
    }
