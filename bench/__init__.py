"""Measures the running proxy from the outside: `python -m bench`, `python -m bench.peers`.

Nothing here is imported by the product, and nothing of the product is switched off for a number.
"""
