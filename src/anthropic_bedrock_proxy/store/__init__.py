"""Where keys, usage and the catalog live: narrow ports and their implementations."""
