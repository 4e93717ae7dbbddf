"""Credentials of providers, encrypted at rest.

Fernet (AES-128-CBC with HMAC-SHA256) from the `cryptography` package, which only this needs: it is
the optional extra `providers`. The key is the SHA-256 of PROVIDER_KEY_ENCRYPTION_SECRET, as in the
predecessor, so what it has encrypted opens here under the same secret.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import msgspec

from ..errors import needs_extra
from .base.errors import StoreError

_SHOWN = 4
_SHORTEST_SHOWN = 16  # the ends of a shorter secret would tell too much


class SealingError(StoreError):
    """A failure to encrypt or decrypt credentials; the message says what is missing."""


class ProviderCredentials(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Credentials to seal: a pair of AWS keys, or an Amazon Bedrock API key."""

    access_key_id: str | None = None
    secret_access_key: str | None = None
    session_token: str | None = None
    bearer_token: str | None = None

    def __repr__(self) -> str:
        return f"ProviderCredentials({self.masked})"

    @property
    def masked(self) -> str:
        """Returns enough to recognise the credentials by: "AKIA****MPLE"."""
        return mask(self.bearer_token or self.access_key_id or "")


def mask(secret: str) -> str:
    """Returns the ends of a secret around four stars; only the stars where it is short."""
    if len(secret) < _SHORTEST_SHOWN:
        return "****"
    return f"{secret[:_SHOWN]}****{secret[-_SHOWN:]}"


class Seal:
    """Encrypts and decrypts under one secret."""

    def __init__(self, secret: str | None) -> None:
        """`secret` is PROVIDER_KEY_ENCRYPTION_SECRET; without one, every use is refused."""
        self._secret = secret
        self._fernet: Any = None

    def close(self, credentials: ProviderCredentials) -> bytes:
        """Encrypts credentials; returns the token to store. Raises `SealingError`."""
        token: bytes = self._cipher().encrypt(msgspec.json.encode(credentials))
        return token

    def open(self, token: bytes) -> ProviderCredentials:
        """Decrypts a token. Raises `SealingError`, also for a token under another secret.

        Bare API keys, which the predecessor sealed, are returned as bearer tokens.
        """
        cipher = self._cipher()
        from cryptography.fernet import InvalidToken  # noqa: PLC0415  # optional

        try:
            plain: bytes = cipher.decrypt(token)
        except InvalidToken:
            raise SealingError(
                "the credentials of the provider do not open: PROVIDER_KEY_ENCRYPTION_SECRET is "
                "not the one they were stored with"
            ) from None
        try:
            return msgspec.json.decode(plain, type=ProviderCredentials)
        except msgspec.MsgspecError:
            return ProviderCredentials(bearer_token=plain.decode("utf-8", "replace"))

    def _cipher(self) -> Any:
        if self._fernet is None:
            if not self._secret:
                raise SealingError(
                    "credentials of providers are stored encrypted: set "
                    "PROVIDER_KEY_ENCRYPTION_SECRET to a long random text, the same for the proxy "
                    "and for this command"
                )
            try:
                from cryptography.fernet import Fernet  # noqa: PLC0415  # optional
            except ImportError as error:
                what = "to store credentials of providers encrypted"
                raise SealingError(needs_extra(what, "providers")) from error
            digest = hashlib.sha256(self._secret.encode()).digest()
            self._fernet = Fernet(base64.urlsafe_b64encode(digest))
        return self._fernet
