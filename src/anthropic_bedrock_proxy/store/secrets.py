"""Key secrets and key ids: their making, and the parts of a secret that may be stored.

A secret is 256 random bits, shown once. Only its SHA-256 and a four-character hint are stored. A
plain hash is enough: there is no dictionary of 256-bit secrets to try, so a slow one buys nothing.
"""

from __future__ import annotations

import base64
import hashlib
import secrets

PREFIX = "sk-"  # redaction.py finds secrets by it
ID_PREFIX = "key_"
UNKNOWN_HINT = f"{PREFIX}...????"  # of a secret that came as its hash alone


def mint_secret() -> str:
    """Makes a new key secret: "sk-" and 43 URL-safe characters."""
    return PREFIX + secrets.token_urlsafe(32)


def hash_secret(secret: str) -> bytes:
    """Returns the 32-byte SHA-256 by which a key is found."""
    # A header may carry anything; what is not valid text is an unknown key, not a crash.
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def hint_of(secret: str) -> str:
    """Returns enough of a secret to recognise it by: "sk-...wxyz"."""
    return f"{PREFIX}...{secret[-4:]}"


def mint_key_id() -> str:
    """Makes a new key id: "key_" and 16 lowercase base32 characters."""
    return ID_PREFIX + base64.b32encode(secrets.token_bytes(10)).decode().lower()
