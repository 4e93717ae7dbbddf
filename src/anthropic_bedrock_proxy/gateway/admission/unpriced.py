"""The models that nobody knows the price of: one answer for admission, operators and the start."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...errors import ProxyError
from ...models.registry import Registry, Route
from .permissions import allows
from .pricing import Pricing


def is_unpriced(route: Route, pricing: Pricing) -> bool:
    """Tells whether a request may run at a target that no budget could count."""
    return any(pricing.rates(target) is None for target in route.targets)


def unpriced_names(
    registry: Registry, pricing: Pricing, allowed_models: Sequence[str] = ()
) -> Iterator[str]:
    """Yields the names without a price that clients may ask for here, the operator's first.

    Those are the mapped ones and the models with a name of ours beside Bedrock's; with
    `allowed_models` only what a key of these may use. What is behind the ARN of an application
    profile is not known before it is asked for.
    """
    own = (model.id for model in registry.models if model.id != model.bedrock)
    for name in dict.fromkeys((*registry.names.mapping, *own)):
        try:
            route = registry.route(name)
        except ProxyError:
            continue  # it cannot be called here
        allowed = not allowed_models or allows(allowed_models, route)
        if allowed and not route.opaque and is_unpriced(route, pricing):
            yield name
