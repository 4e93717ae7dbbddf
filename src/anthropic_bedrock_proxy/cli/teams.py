"""`teams`: what the keys of a team may use together."""

from __future__ import annotations

from .owners import owner_commands

command = owner_commands("team")
