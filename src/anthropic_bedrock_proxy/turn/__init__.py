"""One client request that may need several model calls: server-side tools run in between."""
