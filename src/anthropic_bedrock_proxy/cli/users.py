"""`users`: what the keys of a user may use together."""

from __future__ import annotations

from .owners import owner_commands

command = owner_commands("user")
