"""The library sandlock as isolation: Landlock, seccomp and namespaces, without a daemon."""
