"""FAILOVER_CHAINS: the operator's words for where to try, `PLACE[/DIALECT][=MODEL]`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from ...models.registry import DEFAULT_PLACE, Link
from ...models.table import DIALECTS


def parse_chains(
    chains: Mapping[str, Sequence[str]], places: Collection[str]
) -> dict[str, tuple[Link, ...]]:
    """The links of every chain; `places` are the names beside the default place.

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
                links.append(parse_link(entry, places))
            except ValueError as error:
                problems.append(f"{entry!r} in the chain of {model!r}: {error}")
        parsed[model] = tuple(links)
    if problems:
        raise ValueError("\n".join(problems))
    return parsed


def parse_link(entry: str, places: Collection[str]) -> Link:
    """One `PLACE[/DIALECT][=MODEL]`. Raises ValueError that says what would be right."""
    # The model may be an ARN, which has slashes and, in a name of a profile, equals signs.
    where, has_model, model = entry.partition("=")
    place, has_dialect, dialect = where.partition("/")
    if place != DEFAULT_PLACE and place not in places:
        known = ", ".join((DEFAULT_PLACE, *sorted(places)))
        raise ValueError(f"there is no place {place!r} (there are: {known})")
    if has_dialect and dialect not in DIALECTS:
        raise ValueError(f"there is no dialect {dialect!r} (there are: {', '.join(DIALECTS)})")
    if has_model and not model:
        raise ValueError("there is no model after the equals sign")
    return Link(place=place, dialect=dialect, model=model)
