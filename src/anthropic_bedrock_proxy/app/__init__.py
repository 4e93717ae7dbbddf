"""Composition: every part made from the settings, and all of them joined."""
