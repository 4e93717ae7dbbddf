from __future__ import annotations

import pytest

from anthropic_bedrock_proxy.sandbox.address import ExecutorAddress, parse_addresses


def test_a_unix_socket_has_a_path():
    address = ExecutorAddress.from_url("unix:///run/sandboxd.sock")
    assert (address.path, address.url) == ("/run/sandboxd.sock", "unix:///run/sandboxd.sock")


def test_a_tcp_address_has_host_and_port():
    address = ExecutorAddress.from_url("http://sandbox:9000/")
    assert (address.path, address.host, address.port) == (None, "sandbox", 9000)
    assert ExecutorAddress.from_url("https://[::1]").url == "https://[::1]:8600"


def test_two_spellings_of_an_address_have_one_mark():
    spellings = ["http://sandbox", "http://sandbox:8600/", " http://SANDBOX:8600"]
    assert len({ExecutorAddress.from_url(url).mark for url in spellings}) == 1
    assert len(parse_addresses(",".join(spellings))) == 1


def test_a_list_keeps_each_executor():
    addresses = parse_addresses("unix:///a, http://b:1,")
    assert [address.url for address in addresses] == ["unix:///a", "http://b:1"]
    assert len({address.mark for address in addresses}) == 2


@pytest.mark.parametrize(
    "url", ["", "unix://", "unix://host/path", "ftp://a", "http://", "http://a/path", "a:1"]
)
def test_what_is_no_address(url):
    with pytest.raises(ValueError, match="not unix"):
        ExecutorAddress.from_url(url)


def test_an_empty_list_is_refused():
    with pytest.raises(ValueError, match="no address"):
        parse_addresses(" , ")
