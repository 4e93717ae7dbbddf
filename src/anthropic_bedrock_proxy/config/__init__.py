"""Settings: one frozen, typed tree, loaded once at start and handed down by the composition root.

`settings` declares every field once; `rules` says which texts are allowed; `parse` turns raw values
into typed ones; `load` merges the sources; `describe` prints. Nothing below `app` imports this
package: parts are given the values they need.
"""

from __future__ import annotations

from .load import SettingsError, load_settings
from .settings import NoEffect, Settings, secret_names

__all__ = [
    "NoEffect",
    "Settings",
    "SettingsError",
    "load_settings",
    "secret_names",
]
