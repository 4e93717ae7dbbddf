"""The fake of the store: dictionaries."""
