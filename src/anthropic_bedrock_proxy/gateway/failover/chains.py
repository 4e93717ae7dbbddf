"""FAILOVER_CHAINS: an operator's words for a model's targets, `PROVIDER[/DIALECT][=MODEL]`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from ...models.registry import DEFAULT_PROVIDER, Link
from ...models.table import DIALECTS


def parse_chains(
    chains: Mapping[str, Sequence[str]], providers: Collection[str]
) -> dict[str, tuple[Link, ...]]:
    """Parses the links of every chain; `providers` are the names beside the default provider.

    Raises ValueError with a line for everything that is wrong.
    """
    problems: list[str] = []
    parsed: dict[str, tuple[Link, ...]] = {}
    for model, entries in chains.items():
        if not entries:
            problems.append(f"{model!r} has no targets: name at least one, or leave it out")
        links = []
        for entry in entries:
            try:
                links.append(parse_link(entry, providers))
            except ValueError as error:
                problems.append(f"{entry!r} in the chain of {model!r}: {error}")
        parsed[model] = tuple(links)
    if problems:
        raise ValueError("\n".join(problems))
    return parsed


def parse_link(entry: str, providers: Collection[str]) -> Link:
    """Parses one `PROVIDER[/DIALECT][=MODEL]`. Raises ValueError that says what would be right."""
    # The model may be an ARN, which has slashes and, in a name of a profile, equals signs.
    where, has_model, model = entry.partition("=")
    provider, has_dialect, dialect = where.partition("/")
    if provider != DEFAULT_PROVIDER and provider not in providers:
        known = ", ".join((DEFAULT_PROVIDER, *sorted(providers)))
        raise ValueError(f"there is no provider {provider!r} (there are: {known})")
    if has_dialect and dialect not in DIALECTS:
        raise ValueError(f"there is no dialect {dialect!r} (there are: {', '.join(DIALECTS)})")
    if has_model and not model:
        raise ValueError("there is no model after the equals sign")
    return Link(provider=provider, dialect=dialect, model=model)
