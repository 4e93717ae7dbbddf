"""Models as data: what each accepts where, its names, its places, its beta flags."""
