"""`teams`: limits and budgets that the keys of a team share."""

from __future__ import annotations

from .owners import owner_commands

command = owner_commands("team")
