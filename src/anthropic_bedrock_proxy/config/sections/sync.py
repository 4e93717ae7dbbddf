"""Prices and names of models that are kept up to date by themselves."""

# Without `from __future__ import annotations`: the annotations are read as objects, not as text.
from typing import Annotated, Final

from .. import rules
from ..schema import Section, Setting

MAPPING_FLOOR_SECONDS: Final = 30.0  # as in the predecessor
PRICE_PROVIDERS: Final = ("bedrock", "bedrock_converse", "bedrock_mantle")  # LiteLLM's names


class SyncSettings(Section, frozen=True):
    """The fetching, again and again, of a price list and of names of models. Off by default."""

    prices_enabled: Annotated[
        bool,
        Setting(
            "PRICING_SYNC_ENABLED",
            "Take over a price list by itself, as `prices sync` does: under the prices that were "
            "set, over the shipped ones. One process of all does it.",
        ),
    ] = False
    prices_url: Annotated[
        str | None,
        Setting(
            "PRICING_SYNC_URL",
            "A price list in LiteLLM's public format; unset, AWS's own list is asked for the "
            "regions in use (needs AWS keys that may pricing:GetProducts).",
            rule=rules.HTTPS,
            url=True,
        ),
    ] = None
    prices_interval_hours: Annotated[
        float,
        Setting("PRICING_SYNC_INTERVAL_HOURS", "How often the list is fetched.", minimum=0.1),
    ] = 24.0
    prices_providers: Annotated[
        tuple[str, ...],
        Setting(
            "PRICING_SYNC_PROVIDERS",
            "Of a list in LiteLLM's format, the providers whose entries are taken: of bedrock, "
            "bedrock_converse and bedrock_mantle.",
        ),
    ] = PRICE_PROVIDERS
    prices_create_missing: Annotated[
        bool,
        Setting(
            "PRICING_SYNC_CREATE_MISSING",
            "Take prices of models, too, that the shipped list does not have.",
        ),
    ] = True
    mapping_enabled: Annotated[
        bool,
        Setting(
            "MODEL_MAPPING_SYNC_ENABLED",
            "Fetch names of models from MODEL_MAPPING_SYNC_URL: under those of `models map` and "
            "DEFAULT_MODEL_MAPPING, over the built-in ones.",
        ),
    ] = False
    mapping_url: Annotated[
        str | None,
        Setting(
            "MODEL_MAPPING_SYNC_URL",
            'A JSON object of names: {"ALIAS": "BEDROCK_ID"}.',
            rule=rules.HTTPS,
            url=True,
        ),
    ] = None
    mapping_interval_seconds: Annotated[
        float,
        Setting(
            "MODEL_MAPPING_SYNC_INTERVAL_SECONDS",
            "How often they are fetched; less than 30 counts as 30, as in the predecessor.",
            minimum=0.1,
        ),
    ] = 3600.0
    mapping_timeout_seconds: Annotated[
        float,
        Setting(
            "MODEL_MAPPING_SYNC_TIMEOUT_SECONDS",
            "How long one fetch of them may take.",
            minimum=0.1,
            maximum=300,
        ),
    ] = 10.0
