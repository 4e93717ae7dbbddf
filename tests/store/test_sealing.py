"""Credentials of providers at rest."""

from __future__ import annotations

import sys
from base64 import urlsafe_b64encode
from hashlib import sha256

import pytest
from cryptography.fernet import Fernet

from anthropic_bedrock_proxy.store.base.errors import StoreError
from anthropic_bedrock_proxy.store.sealing import ProviderCredentials, Seal, SealingError, mask

SECRET = "a long random text"
KEYS = ProviderCredentials(access_key_id="AKIDEXAMPLEEXAMPLE", secret_access_key="s" * 40)


def test_what_is_sealed_opens_under_the_same_secret_only():
    token = Seal(SECRET).close(KEYS)
    assert b"AKID" not in token
    assert Seal(SECRET).open(token) == KEYS
    assert Seal(SECRET).close(KEYS) != token, "equal credentials cannot be told from their tokens"
    with pytest.raises(SealingError, match="is not the one they were stored with"):
        Seal("another").open(token)
    with pytest.raises(SealingError, match="is not the one"):
        Seal(SECRET).open(token[:-4] + b"AAAA")


def test_what_the_predecessor_sealed_opens():
    theirs = Fernet(urlsafe_b64encode(sha256(SECRET.encode()).digest()))
    assert Seal(SECRET).open(theirs.encrypt(b"api-key")).bearer_token == "api-key"


@pytest.mark.parametrize("secret", [None, ""])
def test_without_a_secret(secret):
    with pytest.raises(SealingError, match="set PROVIDER_KEY_ENCRYPTION_SECRET"):
        Seal(secret).close(KEYS)
    assert issubclass(SealingError, StoreError)


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography.fernet", None)
    for use in (lambda seal: seal.close(KEYS), lambda seal: seal.open(b"x")):
        with pytest.raises(SealingError, match="needs the extra `providers`"):
            use(Seal(SECRET))


def test_only_the_ends_are_shown():
    assert mask("abcdefghijklmnopqrstuvwxyz") == "abcd****wxyz"
    assert mask("abcdefgh") == mask("") == "****"
    assert KEYS.masked == "AKID****MPLE"
    assert repr(KEYS) == "ProviderCredentials(AKID****MPLE)"
    assert ProviderCredentials(bearer_token="b" * 20).masked == "bbbb****bbbb"
