"""Errors that every store raises."""

from __future__ import annotations


class StoreError(Exception):
    """The store cannot be reached or refused the operation; the message says which and why."""


class NotPreparedError(StoreError):
    """The store lacks what an operator makes once, so waiting does not help; it says how."""


class NoSuchObjectError(StoreError):
    """No key, user, team or provider has this name."""


class AlreadyExistsError(StoreError):
    """An object to be created that exists already."""
