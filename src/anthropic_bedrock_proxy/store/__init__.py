"""The stores of keys, usage and the catalog: narrow ports and their implementations."""
