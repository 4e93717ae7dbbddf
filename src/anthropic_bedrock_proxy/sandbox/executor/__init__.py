"""The executor `sandboxd`: a process of its own that has the containers."""
