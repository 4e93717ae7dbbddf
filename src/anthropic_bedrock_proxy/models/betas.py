"""`anthropic-beta` flags: renamed, passed or dropped per model.

Bedrock refuses the whole request for one flag it does not know ("invalid beta flag").
What a model accepts is data (models.toml); the operator's BETA_* settings come on top, with the
predecessor's meaning: a mapping replaces a flag, the pass-through list lets one through on every
model, the blocklist removes one on every model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from .table import Capabilities, Generation

BETA_HEADER: Final = "anthropic-beta"


class BetaRules(msgspec.Struct, frozen=True, kw_only=True):
    """Rules that hold for every model: the shipped ones plus the operator's."""

    mapping: Mapping[str, Sequence[str]] = {}
    passthrough: frozenset[str] = frozenset()
    blocklist: frozenset[str] = frozenset()
    needed_for: Mapping[str, str] = {}  # request feature -> flag that Bedrock wants with it


def known_flags(rules: BetaRules, generations: Iterable[Generation]) -> frozenset[str]:
    """Returns the flags that the table or the operator names."""
    named = {*rules.mapping, *rules.needed_for.values(), *rules.passthrough, *rules.blocklist}
    named.update(*rules.mapping.values())
    for generation in generations:
        named |= generation.betas | generation.on_use
        named.update(*(difference.betas for difference in generation.on.values()))
    return frozenset(named)


def split_header(values: Iterable[str]) -> list[str]:
    """Returns the flags of `anthropic-beta` headers (comma lists): in order, each once."""
    flags = (flag.strip() for value in values for flag in value.split(","))
    return list(dict.fromkeys(flag for flag in flags if flag))


def choose_betas(
    flags: Sequence[str], accepted: frozenset[str], rules: BetaRules
) -> tuple[list[str], list[str]]:
    """Returns (flags to send, flags dropped), both in the client's order."""
    send: dict[str, None] = {}
    dropped: list[str] = []
    for flag in flags:
        for name in rules.mapping.get(flag, (flag,)):
            if name in rules.blocklist or not (name in accepted or name in rules.passthrough):
                dropped.append(name)
            else:
                send[name] = None
    return list(send), dropped


def flag_for(feature: str, capabilities: Capabilities, rules: BetaRules) -> str | None:
    """Returns the flag that Bedrock wants with `feature`; None if the model does not take it."""
    flag = rules.needed_for.get(feature, "")
    if flag in rules.blocklist:
        return None
    if flag in capabilities.betas or flag in capabilities.on_use or flag in rules.passthrough:
        return flag
    return None
