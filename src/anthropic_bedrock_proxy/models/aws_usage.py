"""The usage types of AWS's price list: what a row of it is the price of.

Three spellings name a price of text tokens, and each is matched whole, so that nothing is guessed.
What matches none (images, reserved capacity, latency-optimised, …) is no column of prices.csv.

    USE1-MP:USE1_cache_write_tokens_1h_global_standard-Units   AWS Marketplace, newer models
    USE1-MP:USE1_InputTokenCount_Global_Batch-Units            AWS Marketplace, older models
    USE1-Nova2.0Lite-input-tokens-flex-cross-region-global     Amazon's and open models
    USE1-zai.glm-5-mantle-output-tokens-standard               the same on bedrock-mantle

Sources: usage types that public readers of AmazonBedrock and AmazonBedrockFoundationModels quote
from the price list of September and October 2026. AWS documents none of them.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

_MARKETPLACE: Final = re.compile(
    r"[A-Z0-9]+-MP:[A-Z0-9]+_(?:"
    r"(?P<kind>input|cached_input|output|cache_read|cache_write)_tokens(?P<hour>_1h)?"
    r"(?P<long>_long_ctx)?(?P<world>_global)?_(?P<tier>standard|batch|flex|priority)"
    r"|(?P<old_kind>Input|Output|CacheReadInput|CacheWriteInput|CacheWrite1hInput)TokenCount"
    r"(?P<old_long>_LCtx)?(?P<old_world>_Global)?(?P<old_tier>_Batch)?"
    r")-Units"
)
_MANTLE: Final = re.compile(
    r"[A-Z0-9]+-(?P<id>[a-z0-9-]+\.[a-z0-9.:-]+)-mantle-"
    r"(?P<kind>input|output|cache-read(?:-input)?|cache-write(?:-input)?)(?P<hour>-1h)?-tokens"
    r"-(?P<tier>standard|batch|flex|priority)"
)
_OWN: Final = re.compile(
    r"[A-Z0-9]+-(?P<name>[A-Za-z0-9.+-]+?)-"
    r"(?:(?:text-)?(?P<kind>input|output)-tokens|(?P<cache>cache-read|cache-write)"
    r"-input-token-count)(?P<more>(?:-(?:standard|batch|flex|priority|cross-region-global))*)"
)
# Words in the place of a model's name that make another product of it.
_OTHER: Final = re.compile(
    r"(?i)(?:^|-)(?:cache|image|audio|video|speech|custom|customization|training|latency|long"
    r"|reserved|provisioned|mantle)(?:-|$)"
)
_WORLD: Final = "cross-region-global"
_COLUMNS: Final = {
    "input": "input",
    "cached_input": "cache_read",
    "output": "output",
    "cache_read": "cache_read",
    "cache_write": "cache_write",
    "cache_write_1h": "cache_write_1h",
}
_OLD_KINDS: Final = {
    "Input": "input",
    "Output": "output",
    "CacheReadInput": "cache_read",
    "CacheWriteInput": "cache_write",
    "CacheWrite1hInput": "cache_write_1h",
}
_LONG: Final = frozenset(("input", "output", "cache_read", "cache_write"))
_TIERED: Final = frozenset(("input", "output"))


class TokenUse(msgspec.Struct, frozen=True):
    """The use of a model that a row prices: a column of prices.csv, and where it holds.

    `within` goes before the region of the row, with its slash; or it is empty. `model_id` is
    told by bedrock-mantle alone.
    """

    column: str
    within: str = ""
    model_id: str = ""


def token_use(usage_type: str) -> TokenUse | None:
    """Reads a usage type; None for what is no price of text tokens that prices.csv has."""
    if match := _MARKETPLACE.fullmatch(usage_type):
        return _marketplace(match)
    if match := _MANTLE.fullmatch(usage_type):
        kind = match["kind"].removesuffix("-input").replace("-", "_")
        column = _column(f"{kind}_1h" if match["hour"] else kind, match["tier"], is_long=False)
        return TokenUse(column, "mantle/", match["id"]) if column else None
    if match := _OWN.fullmatch(usage_type):
        more = match["more"].replace(f"-{_WORLD}", "").split("-")[1:]
        if _OTHER.search(match["name"]) or len(more) > 1:
            return None
        kind = match["kind"] or match["cache"].replace("-", "_")
        column = _column(kind, more[0] if more else "standard", is_long=False)
        return TokenUse(column, "global/" if _WORLD in match["more"] else "") if column else None
    return None


def _marketplace(match: re.Match[str]) -> TokenUse | None:
    if match["kind"]:
        kind = f"{match['kind']}{match['hour'] or ''}"
        column = _column(kind, match["tier"], is_long=bool(match["long"]))
    else:
        tier = "batch" if match["old_tier"] else "standard"
        kind = _OLD_KINDS[match["old_kind"]]
        column = _column(kind, tier, is_long=bool(match["old_long"]))
    within = "global/" if match["world"] or match["old_world"] else ""
    return TokenUse(column, within) if column else None


def _column(kind: str, tier: str, *, is_long: bool) -> str:
    """Returns the column of prices.csv; empty if it has none."""
    column = _COLUMNS.get(kind, "")
    if is_long:
        return f"long_{column}" if column in _LONG and tier == "standard" else ""
    if tier == "standard":
        return column
    return f"{tier}_{column}" if column in _TIERED else ""
