"""Refusals in words: of every pattern, every kind of value, every bound."""

from __future__ import annotations

import re
import typing

import msgspec
import pytest

from anthropic_bedrock_proxy.admin import patterns
from anthropic_bedrock_proxy.admin.table import OPERATIONS
from anthropic_bedrock_proxy.admin.wording import in_words


def patterns_in(annotation):
    for part in typing.get_args(annotation):
        if isinstance(part, msgspec.Meta) and part.pattern is not None:
            yield part.pattern
        yield from patterns_in(part)


def test_every_pattern_of_an_operation_has_words():
    used = {
        pattern
        for operation in OPERATIONS
        for kind in (operation.body, operation.query)
        for annotation in typing.get_type_hints(kind, include_extras=True).values()
        for pattern in patterns_in(annotation)
    }
    assert len(used) > 5
    assert used <= patterns.WORDS.keys()
    for words in patterns.WORDS.values():
        assert not re.search(r"[\\^$\[{]", words)


class Example(msgspec.Struct):
    region: typing.Annotated[str, msgspec.Meta(pattern=patterns.REGION)] | None = None
    count: typing.Annotated[int, msgspec.Meta(ge=1, le=5)] | None = None
    kind: typing.Literal["a", "b"] = "a"
    names: typing.Annotated[tuple[str, ...], msgspec.Meta(max_length=2)] = ()
    text: typing.Annotated[str, msgspec.Meta(min_length=1, max_length=3)] = "a"
    flag: bool = False


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"region": "x"}', "must be an AWS region such as eu-central-1"),
        ('{"region": 1}', "must be text or null, not a whole number"),
        ('{"count": 9}', "must be at most 5"),
        ('{"count": 0}', "must be at least 1"),
        ('{"count": 1.5}', "must be a whole number or null, not a number"),
        ('{"kind": "z"}', "'z' is none of the values that are allowed"),
        ('{"names": ["a", "b", "c"]}', "must have at most 2 entries"),
        ('{"text": ""}', "must have at least 1 character"),
        ('{"text": "aaaa"}', "must have at most 3 characters"),
        ('{"flag": 1}', "must be true or false, not a whole number"),
        ("[]", "must be an object, not a list"),
    ],
)
def test_what_msgspec_says_is_said_in_words(body, words):
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.json.decode(body, type=Example)
    assert in_words(str(refused.value).partition(" - at ")[0]) == words


def test_what_is_in_words_already_stays():
    assert in_words("no such field") == "no such field"
