"""Seals: what clients keep for us between turns, so that nobody else can read or change it.

`encrypted_content` and `encrypted_index` of web tools are such tokens. A token is URL-safe base64
without padding of

    version (1 byte) | key id (4) | nonce (16) | AES-SIV of: sealed at (8, epoch seconds) | content

and opens only with a key of the same id, for the same tenant and the same purpose. The key id is
the beginning of the key's SHA-256; what encrypts is derived from the key.

AES-SIV (RFC 5297, AES-256, from the `cryptography` package) instead of AES-GCM: a nonce that comes
twice, as on machines that were started from one snapshot, gives nothing away but that two contents
are the same, and there is no number of seals after which a key has to be changed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Sequence
from secrets import token_bytes
from typing import Any, Final

from ...errors import UnavailableError, needs_extra

LONGEST_TOKEN: Final = 1 << 20  # characters
_VERSION: Final = b"\x01"
_ID_BYTES: Final = 4
_NONCE_BYTES: Final = 16
_SIV_BYTES: Final = 16
_TIME_BYTES: Final = 8
_HEAD_BYTES: Final = len(_VERSION) + _ID_BYTES
_CLEAR_BYTES: Final = _HEAD_BYTES + _NONCE_BYTES
_LEAST_BYTES: Final = _CLEAR_BYTES + _SIV_BYTES + _TIME_BYTES
_MOST_PLAIN: Final = LONGEST_TOKEN // 4 * 3 - _LEAST_BYTES
_DAY_SECONDS: Final = 86_400
_DERIVED_FOR: Final = b"anthropic-bedrock-proxy seal 1"
_FOREIGN: Final = "it was not made by this proxy for this API key, or was changed"


class SealError(Exception):
    """A token that does not open. `reason` ends a sentence for clients, behind a colon."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Seals:
    """Seals contents under the first key, and opens what was sealed under any of them."""

    def __init__(self, keys: Sequence[bytes], now: Callable[[], float], days: float) -> None:
        """`now` is epoch seconds; a token opens for `days`.

        Raises `UnavailableError` if `cryptography` is not installed.
        """
        try:
            from cryptography.hazmat.primitives.ciphers.aead import (  # noqa: PLC0415  # optional
                AESSIV,
            )
        except ImportError as error:
            what = "to seal what clients keep of web searches"
            raise UnavailableError(
                needs_extra(what, "web"), should_retry=False, cause="unavailable:library"
            ) from error
        # The first of equal ids wins.
        self._ciphers: dict[bytes, Any] = {
            _key_id(key): AESSIV(hmac.digest(key, _DERIVED_FOR, "sha512")) for key in reversed(keys)
        }
        self._first = _key_id(keys[0])
        self._now = now
        self._days = days

    def seal(self, tenant: str, purpose: bytes, plain: bytes) -> str:
        """Seals a content for a tenant, the id of an API key, and a purpose.

        Raises `ValueError` if it is so long that its token would not open.
        """
        if len(plain) > _MOST_PLAIN:
            raise ValueError(f"a seal holds {_MOST_PLAIN} bytes, not {len(plain)}")
        clear = _VERSION + self._first + token_bytes(_NONCE_BYTES)
        moment = int(self._now()).to_bytes(_TIME_BYTES)
        bound = _bound(clear, tenant, purpose)
        sealed = self._ciphers[self._first].encrypt(moment + plain, bound)
        return base64.urlsafe_b64encode(clear + sealed).rstrip(b"=").decode()

    def open(self, tenant: str, purpose: bytes, token: str) -> bytes:
        """Returns the content of a token. Raises `SealError`."""
        raw = _decode(token)
        cipher = self._ciphers.get(raw[len(_VERSION) : _HEAD_BYTES])
        if cipher is None:
            raise SealError("its key is no longer known")
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415  # optional

        clear, sealed = raw[:_CLEAR_BYTES], raw[_CLEAR_BYTES:]
        try:
            plain: bytes = cipher.decrypt(sealed, _bound(clear, tenant, purpose))
        except InvalidTag:
            raise SealError(_FOREIGN) from None
        # Another machine's clock may be ahead: what was sealed in the future is young.
        if self._now() - int.from_bytes(plain[:_TIME_BYTES]) > self._days * _DAY_SECONDS:
            raise SealError(f"it is older than {self._days:g} days")
        return plain[_TIME_BYTES:]


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()[:_ID_BYTES]


def _bound(clear: bytes, tenant: str, purpose: bytes) -> list[bytes]:
    """Returns what is authenticated beside the content, each by itself; the nonce comes last."""
    return [clear[:_HEAD_BYTES], purpose, tenant.encode(), clear[_HEAD_BYTES:]]


def _decode(token: str) -> bytes:
    if len(token) > LONGEST_TOKEN:
        raise SealError("it is longer than 1 MiB")
    try:
        written = token.encode("ascii")
        padding = b"=" * (-len(written) % 4)
        raw = base64.b64decode(written + padding, altchars=b"-_", validate=True)
    except ValueError:
        raise SealError(_FOREIGN) from None
    # One content has one spelling: bits that no byte takes are zero.
    if base64.urlsafe_b64encode(raw).rstrip(b"=") != written or len(raw) < _LEAST_BYTES:
        raise SealError(_FOREIGN)
    if not raw.startswith(_VERSION):
        raise SealError(_FOREIGN)
    return raw
