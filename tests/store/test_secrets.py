"""Secrets of keys: long, random, and kept only as what cannot be turned back."""

from __future__ import annotations

from anthropic_bedrock_proxy.store.secrets import hash_secret, hint_of, mint_key_id, mint_secret


def test_secrets_are_long_random_and_kept_only_as_a_hash_and_a_hint():
    secret = mint_secret()
    assert secret.startswith("sk-")
    assert len(secret) == 46
    assert secret != mint_secret()
    assert len(hash_secret(secret)) == 32
    assert hint_of(secret) == "sk-..." + secret[-4:]
    assert hash_secret("\udc80") != hash_secret("?"), "a header's stray byte is an unknown key"
    assert mint_key_id() != mint_key_id()
    assert len(mint_key_id().removeprefix("key_")) == 16
