"""Which networks contain which."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anthropic_bedrock_proxy.admin.scopes import _covers


@pytest.mark.parametrize(
    ("outer", "inner", "covered"),
    [
        (["10.0.0.0/8"], ["10.1.0.0/16", "10.0.0.1/32"], True),
        (["10.0.0.0/8"], ["10.1.0.0/16", "11.0.0.1"], False),
        (["10.0.0.0/16"], ["10.0.0.0/8"], False),
        (["10.0.0.0/25", "10.0.0.128/25"], ["10.0.0.0/24"], True),
        (["0.0.0.0/0"], ["::1"], False),
        (["::/0", "0.0.0.0/0"], ["::1", "1.2.3.4"], True),
        (["10.0.0.1/8"], ["10.9.9.9/32"], True),
    ],
)
def test_networks(outer, inner, covered):
    assert _covers(outer, inner) is covered


NETWORKS = st.lists(
    st.builds(lambda last, size: f"10.0.0.{last}/{size}", st.integers(0, 255), st.integers(24, 32)),
    max_size=6,
)


@given(NETWORKS, NETWORKS)
def test_as_by_every_address(outer, inner):
    def addresses(networks):
        return {one for text in networks for one in ip_network(text, strict=False)}

    assert _covers(outer, inner) is (addresses(inner) <= addresses(outer))


def test_many_networks_are_not_compared_pair_by_pair():
    many = [f"10.{high}.{low}.0/24" for high in range(200) for low in range(200)]
    assert _covers(many, many[::-1])
