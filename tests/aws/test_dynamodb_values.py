"""Attribute values, against boto3's own serializer."""

from __future__ import annotations

from base64 import b64decode, b64encode
from decimal import Decimal

import pytest
from boto3.dynamodb.types import Binary, TypeDeserializer, TypeSerializer
from hypothesis import given
from hypothesis import strategies as st

from anthropic_bedrock_proxy.aws.dynamodb_values import from_item, from_wire, to_item, to_wire

NUMBERS = st.integers(-(10**37), 10**37) | st.decimals(
    allow_nan=False, allow_infinity=False, places=6, min_value=-(10**20), max_value=10**20
)
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | NUMBERS
    | st.text()
    | st.binary()
    | st.sets(st.text(), min_size=1, max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def with_bytes(wire, change):
    """What boto3 holds as bytes we hold as base64, as it is on the wire."""
    ((kind, value),) = wire.items()
    if kind == "B":
        return {kind: change(value)}
    if kind == "L":
        return {kind: [with_bytes(part, change) for part in value]}
    if kind == "M":
        return {kind: {name: with_bytes(part, change) for name, part in value.items()}}
    if kind == "SS":
        return {kind: sorted(value)}
    return wire


@given(PLAIN)
def test_values_are_written_as_boto3_writes_them(value):
    theirs = TypeSerializer().serialize(value)
    assert to_wire(value) == with_bytes(theirs, lambda raw: b64encode(raw).decode())


@given(PLAIN)
def test_values_are_read_as_boto3_reads_them(value):
    wire = to_wire(value)
    theirs = TypeDeserializer().deserialize(with_bytes(wire, b64decode))
    assert unwrapped(theirs) == from_wire(wire) == value


def unwrapped(value):
    if isinstance(value, Binary):
        return value.value
    if isinstance(value, list):
        return [unwrapped(part) for part in value]
    if isinstance(value, dict):
        return {name: unwrapped(part) for name, part in value.items()}
    return value


def test_a_whole_number_is_an_int_and_any_other_exact():
    assert isinstance(from_wire({"N": "5"}), int)
    assert isinstance(from_wire({"N": "5.00"}), int)
    assert isinstance(from_wire({"N": "1E+3"}), int)
    assert from_wire({"N": "32.11"}) == Decimal("32.11")
    assert from_item({"a": {"NS": ["1", "2"]}, "b": {"BS": ["AA=="]}}) == {
        "a": {1, 2},
        "b": {b"\0"},
    }
    assert to_item({"a": (1, True)}) == {"a": {"L": [{"N": "1"}, {"BOOL": True}]}}


@pytest.mark.parametrize("value", [1.5, Decimal("NaN"), object(), set(), {1, 2}])
def test_what_dynamodb_does_not_keep_exactly_is_refused(value):
    with pytest.raises(TypeError, match=type(value).__name__):
        to_wire(value)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="'X'"):
        from_wire({"X": "1"})
