"""The settings, section by section; `config/settings.py` puts them together."""
