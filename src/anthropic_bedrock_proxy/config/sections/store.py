"""The settings of the store."""

# Without `from __future__ import annotations`: the annotations are read as objects, not as text.
from pathlib import Path
from typing import Annotated

from .. import rules
from ..schema import Section, Setting


class StoreSettings(Section, frozen=True):
    """The store of keys, usage and models, and the journal on this machine."""

    url: Annotated[
        str,
        Setting(
            "STORE_URL",
            "The store: an SQLite file (three slashes before a relative path, four before an "
            "absolute one), DynamoDB, or memory for trials.",
            rule=rules.STORE,
            url=True,
        ),
    ] = "sqlite:///data/proxy.db"
    journal_dir: Annotated[
        Path | None,
        Setting(
            "JOURNAL_DIR",
            "Where usage is written before it reaches the store; by default `journal` beside the "
            "SQLite file, else data/journal.",
        ),
    ] = None
    journal_interval_seconds: Annotated[
        float,
        Setting(
            "JOURNAL_INTERVAL",
            "How often the journal is drained into the store.",
            minimum=0.01,
            maximum=30,  # a process that is killed holds what it spent for 60 s
        ),
    ] = 1.0
    usage_ttl_days: Annotated[
        int,
        Setting(
            "USAGE_TTL_DAYS",
            "How long single usage records are kept; 0 keeps them for ever.",
            minimum=0,
        ),
    ] = 7

    request_log: Annotated[
        bool,
        Setting(
            "REQUEST_LOG",
            "Note on this machine what happened to each request, without what it asked and was "
            "answered: for `explain`.",
        ),
    ] = True
    request_log_hours: Annotated[
        float, Setting("REQUEST_LOG_HOURS", "How long these notes are kept.", minimum=0.1)
    ] = 24.0
    request_log_max_bytes: Annotated[
        int,
        Setting(
            "REQUEST_LOG_MAX_BYTES",
            "How many bytes of them are kept, of all workers together: the oldest go first.",
            minimum=1 << 20,
        ),
    ] = 64 * 1024 * 1024

    @property
    def sqlite_path(self) -> Path | None:
        """Returns the SQLite file, if that is the store."""
        prefix = "sqlite:///"
        return Path(self.url.removeprefix(prefix)) if self.url.startswith(prefix) else None

    @property
    def data_path(self) -> Path:
        """Returns the directory of this machine's files: beside the SQLite file, else `data`."""
        beside = self.sqlite_path
        return beside.parent if beside is not None else Path("data")

    @property
    def requests_path(self) -> Path:
        """Returns the directory of the request log: `requests` in `data_path`."""
        return self.data_path / "requests"

    @property
    def journal_path(self) -> Path:
        """Returns `journal_dir`; by default `journal` in `data_path`."""
        return self.data_path / "journal" if self.journal_dir is None else self.journal_dir


class TableSettings(Section, frozen=True):
    """Names of the DynamoDB tables, for `STORE_URL=dynamodb://`."""

    api_keys: Annotated[
        str,
        Setting("DYNAMODB_API_KEYS_TABLE", "API keys.", rule=rules.TABLE),
    ] = "anthropic-proxy-api-keys"
    usage: Annotated[
        str,
        Setting("DYNAMODB_USAGE_TABLE", "Usage records.", rule=rules.TABLE),
    ] = "anthropic-proxy-usage"
    model_mapping: Annotated[
        str,
        Setting("DYNAMODB_MODEL_MAPPING_TABLE", "Model names.", rule=rules.TABLE),
    ] = "anthropic-proxy-model-mapping"
    model_pricing: Annotated[
        str,
        Setting("DYNAMODB_MODEL_PRICING_TABLE", "Prices.", rule=rules.TABLE),
    ] = "anthropic-proxy-model-pricing"
    usage_stats: Annotated[
        str,
        Setting("DYNAMODB_USAGE_STATS_TABLE", "Usage sums.", rule=rules.TABLE),
    ] = "anthropic-proxy-usage-stats"
    provider_keys: Annotated[
        str,
        Setting(
            "DYNAMODB_PROVIDER_KEYS_TABLE",
            "Keys of other providers; only `tables` looks at it.",
            rule=rules.TABLE,
        ),
    ] = "anthropic-proxy-provider-keys"
    routing_rules: Annotated[
        str,
        Setting(
            "DYNAMODB_ROUTING_RULES_TABLE",
            "Routing rules; only `tables` looks at it.",
            rule=rules.TABLE,
        ),
    ] = "anthropic-proxy-routing-rules"
    failover_chains: Annotated[
        str,
        Setting(
            "DYNAMODB_FAILOVER_CHAINS_TABLE",
            "Failover chains; only `tables` looks at it.",
            rule=rules.TABLE,
        ),
    ] = "anthropic-proxy-failover-chains"
    smart_routing_config: Annotated[
        str,
        Setting(
            "DYNAMODB_SMART_ROUTING_CONFIG_TABLE",
            "Smart routing; only `tables` looks at it.",
            rule=rules.TABLE,
        ),
    ] = "anthropic-proxy-smart-routing-config"
    state: Annotated[
        str,
        Setting(
            "DYNAMODB_STATE_TABLE",
            "What the predecessor had no table for: budgets, users, teams, sums, changes.",
            rule=rules.TABLE,
        ),
    ] = "anthropic-proxy-state"
