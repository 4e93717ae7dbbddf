"""The demonstration of `serve --demo`: the simulator in Bedrock's place, and data of its own.

Nothing of it may reach AWS, or what an installation keeps: not its store, not its counters in
Redis, not the collector of its traces, not its executors, not its log. Only what the environment
of this very process names is taken as meant for the demonstration; what stands in `.env` or in a
file of settings is the installation's.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..config import Settings, load_settings
from ..config.load import COMMAND_LINE, ENVIRONMENT

if TYPE_CHECKING:
    from ..process.listening import Bound

STORE_URL: Final = "sqlite:///data/demo/proxy.db"
# What is put in place of an installation's own, setting by setting.
_OF_ITS_OWN: Final = {
    "STORE_URL": {"STORE_URL": STORE_URL, "JOURNAL_DIR": ""},
    "LIMITS_URL": {"LIMITS_URL": "memory://"},
    "SANDBOX_URL": {"SANDBOX_URL": ""},
    "SANDBOX_NAME": {"SANDBOX_NAME": ""},  # an executor of that name removes what is left of it
    "LOG_OUTPUT": {"LOG_OUTPUT": "stderr"},
    "ENABLE_TRACING": {"ENABLE_TRACING": "false"},
    "PRICING_SYNC_URL": {"PRICING_SYNC_URL": ""},
    "MODEL_MAPPING_SYNC_ENABLED": {"MODEL_MAPPING_SYNC_ENABLED": "false"},
    "WEB_SEARCH_PROVIDER": {"WEB_SEARCH_PROVIDER": "auto"},  # which asks nobody here
    "WEB_SEARCH_API_KEY": {"WEB_SEARCH_API_KEY": ""},
    "WEB_SEARCH_URL": {"WEB_SEARCH_URL": ""},
}


def has_own_store(settings: Settings) -> bool:
    """Tells whether the settings of a demonstration name the store that is made for those."""
    return settings.store.url == STORE_URL and settings.sources["STORE_URL"] == COMMAND_LINE


def own_data(settings: Settings) -> dict[str, str]:
    """Returns what a demonstration overrides of the settings, to keep off the installation's."""
    found: dict[str, str] = {}
    for name, own in _OF_ITS_OWN.items():
        if settings.sources[name] not in (ENVIRONMENT, COMMAND_LINE):
            found |= own
    return found


def demo_settings(
    settings: Settings, config_file: Path | None, overrides: dict[str, str], bound: Bound
) -> Settings:
    """Starts the simulator, without the `bound` sockets, and points the settings at it."""
    from ..sim.options import SimulatorOptions  # noqa: PLC0415  # after the bind
    from ..sim.server import serve_in_child  # noqa: PLC0415

    _, port = serve_in_child(SimulatorOptions(), bound.listeners)
    return load_settings(
        config_file,
        {
            **overrides,
            **own_data(settings),
            "BEDROCK_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "BEDROCK_MANTLE_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "BEDROCK_CONTROL_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "PRICING_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "demo",
            "AWS_SECRET_ACCESS_KEY": "demo",
            "AWS_BEARER_TOKEN_BEDROCK": "",
            "AWS_SESSION_TOKEN": "",
            "PROVIDERS": "{}",
            "FAILOVER_CHAINS": "{}",
        },
    )
