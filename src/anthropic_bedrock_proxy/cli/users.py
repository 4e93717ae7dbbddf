"""`users`: limits and budgets that the keys of a user share."""

from __future__ import annotations

from .owners import owner_commands

command = owner_commands("user")
