"""The settings, section by section; `settings.py` puts them together."""
