"""Settings: one frozen, typed tree, loaded once at start and handed down by the composition root.

`settings` declares every field once; `rules` says which texts are allowed; `parse` turns raw values
into typed ones; `load` merges the sources; `describe` prints. Nothing below `app` imports this
package: parts are given the values they need.
"""

from __future__ import annotations

from .load import SettingsError, load_settings
from .sections.aws import AWS, Upstream
from .sections.features import Features
from .sections.limits import Limits
from .sections.models import Models
from .sections.server import Auth, Server, Streaming
from .sections.store import Store, Tables
from .settings import NoEffect, Settings, secret_names

__all__ = [
    "AWS",
    "Auth",
    "Features",
    "Limits",
    "Models",
    "NoEffect",
    "Server",
    "Settings",
    "SettingsError",
    "Store",
    "Streaming",
    "Tables",
    "Upstream",
    "load_settings",
    "secret_names",
]
