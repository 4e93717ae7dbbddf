"""Seals open for whom they were made, for as long as they last, and for nobody else."""

from __future__ import annotations

import base64
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anthropic_bedrock_proxy.errors import UnavailableError
from anthropic_bedrock_proxy.tools.web.seal import LONGEST_TOKEN, SealError, Seals

KEY, OTHER = b"k" * 32, b"o" * 32
DAY = 86_400
RESULT = b"web_search_result"
FOREIGN = "it was not made by this proxy for this API key, or was changed"
GONE = "its key is no longer known"


class Clock:
    """A clock that stands until it is set."""

    def __init__(self):
        self.now = 1_800_000_000.0

    def __call__(self):
        return self.now


def seals(*keys, now=None, days=30):
    return Seals(keys or (KEY,), now or Clock(), days)


def raw(token):
    return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))


def text(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def refusal(by, token, tenant="key_1", purpose=RESULT):
    with pytest.raises(SealError) as told:
        by.open(tenant, purpose, token)
    assert str(told.value) == told.value.reason
    return told.value.reason


def test_a_seal_opens_for_its_tenant_and_purpose():
    sealed = seals()
    token = sealed.seal("key_1", RESULT, "Grüße".encode())
    assert sealed.open("key_1", RESULT, token) == "Grüße".encode()
    assert refusal(sealed, token, tenant="key_2") == FOREIGN
    assert refusal(sealed, token, tenant="") == FOREIGN
    assert refusal(sealed, token, purpose=b"web_search_index") == FOREIGN
    # The border between tenant and purpose cannot be moved.
    assert refusal(sealed, token, tenant="1", purpose=RESULT + b"key_") == FOREIGN


def test_another_process_with_the_same_key_opens_it():
    assert seals().open("key_1", RESULT, seals().seal("key_1", RESULT, b"x")) == b"x"


def test_nothing_of_the_content_can_be_read_and_no_two_tokens_are_alike():
    sealed = seals()
    first, second = (sealed.seal("key_1", RESULT, b"secret words") for _ in range(2))
    assert first != second
    assert b"secret" not in raw(first)
    assert not any(raw(first)[at : at + 8] == raw(second)[at : at + 8] for at in range(5, 50))


@pytest.mark.parametrize("plain", [b"", b"some text"])
def test_a_flipped_bit_anywhere_is_refused(plain):
    sealed = seals()
    data = raw(sealed.seal("key_1", RESULT, plain))
    for at in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[at] ^= 1 << bit
            reason = refusal(sealed, text(bytes(changed)))
            assert reason == (GONE if 1 <= at < 5 else FOREIGN)
    for length in range(len(data)):
        assert refusal(sealed, text(data[:length])) == FOREIGN
    assert refusal(sealed, text(data + b"\0")) == FOREIGN


def test_a_token_has_one_spelling():
    sealed = seals()
    token = sealed.seal("key_1", RESULT, b"a")
    while len(token) % 4 == 0:
        token = sealed.seal("key_1", RESULT, b"a" * (len(token) % 7 + 1))
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    sibling = token[:-1] + alphabet[alphabet.index(token[-1]) ^ 1]
    assert raw(sibling) == raw(token)
    for other in (sibling, token + "=", token + "\n", f" {token}", token.replace(token[0], "+", 1)):
        assert refusal(sealed, other) == FOREIGN


def test_keys_are_changed_without_losing_what_was_sealed():
    old = seals(KEY).seal("key_1", RESULT, b"old")
    both = seals(OTHER, KEY)
    assert both.open("key_1", RESULT, old) == b"old"
    new = both.seal("key_1", RESULT, b"new")
    only_new = seals(OTHER)
    assert only_new.open("key_1", RESULT, new) == b"new"
    assert refusal(only_new, old) == GONE
    assert refusal(seals(KEY), new) == GONE


def test_a_seal_lasts_as_many_days_as_it_should():
    clock = Clock()
    sealed = seals(now=clock)
    token = sealed.seal("key_1", RESULT, b"x")
    sealed_at = clock.now
    for later in (29 * DAY + 23 * 3600, 30 * DAY, -60):
        clock.now = sealed_at + later
        assert sealed.open("key_1", RESULT, token) == b"x"
    clock.now = sealed_at + 30 * DAY + 1
    assert refusal(sealed, token) == "it is older than 30 days"
    clock.now = sealed_at + DAY
    assert refusal(seals(now=clock, days=0.5), token) == "it is older than 0.5 days"
    # Who may not open it is not told its age.
    clock.now = sealed_at + 31 * DAY
    assert refusal(sealed, token, tenant="key_2") == FOREIGN


def test_a_token_is_bounded():
    sealed = seals()
    most = next(
        length
        for length in range(LONGEST_TOKEN // 4 * 3, 0, -1)
        if seals_without_error(sealed, length)
    )
    token = sealed.seal("key_1", RESULT, b"a" * most)
    assert len(token) == LONGEST_TOKEN
    assert sealed.open("key_1", RESULT, token) == b"a" * most
    assert refusal(sealed, token + "A") == "it is longer than 1 MiB"
    assert refusal(sealed, "\N{SNOWMAN}" * (LONGEST_TOKEN + 1)) == "it is longer than 1 MiB"


def seals_without_error(sealed, length):
    try:
        sealed.seal("key_1", RESULT, b"a" * length)
    except ValueError:
        return False
    return True


@given(st.text() | st.binary().map(text) | st.binary(min_size=44).map(lambda b: text(b"\x01" + b)))
def test_whatever_comes_is_refused_in_words(token):
    assert refusal(seals(), token) in {FOREIGN, GONE}


@given(st.binary(min_size=45))
def test_whatever_comes_under_a_known_key_is_refused_in_words(data):
    head = raw(seals().seal("key_1", RESULT, b""))[:5]
    assert refusal(seals(), text(head + data)) == FOREIGN


@given(st.text(st.characters(codec="utf-8")), st.binary(), st.binary())
def test_whatever_is_sealed_opens(tenant, purpose, plain):
    assert seals().open(tenant, purpose, seals().seal(tenant, purpose, plain)) == plain


def test_the_extra_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    with pytest.raises(UnavailableError, match="needs the extra `web`") as told:
        seals()
    assert not told.value.should_retry
