"""The store in memory: the fake of the store ports, over dictionaries."""
