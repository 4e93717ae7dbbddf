from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anthropic_bedrock_proxy.fetch.base import FetchError
from anthropic_bedrock_proxy.fetch.guard import (
    NOT_PUBLIC,
    Parts,
    check_address,
    check_host,
    check_url,
)

PUBLIC = [
    "1.1.1.1",
    "93.184.216.34",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "2001:4860:4860::8888",
    "2a00:1450:4001:800::200e",
    "3ffe::1",
    "64:ff9b::5db8:d822",  # NAT64 of 93.184.216.34
    "::ffff:93.184.216.34",
]
PRIVATE = [
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "::1",
    "fc00::1",
    "fd12:3456:789a::1",
    "::ffff:10.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "64:ff9b::a00:1",
    "64:ff9b::7f00:1",
]
FORBIDDEN = [
    "0.0.0.0",
    "0.1.2.3",
    "100.100.100.200",
    "168.63.129.16",
    "169.254.0.1",
    "169.254.169.254",
    "169.254.170.2",  # credentials of an ECS task
    "192.0.0.1",
    "192.0.0.9",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::2",
    "::7f00:1",  # IPv4-compatible
    "::93.184.216.34",
    "::ffff:0:7f00:1",  # IPv4-translated
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a9fe:a9fe",  # NAT64 of somebody's own
    "100::1",  # discard
    "2001::1",  # Teredo
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::1",  # 6to4
    "2002:5db8:d822::1",
    "3fff::1",
    "5f00::1",
    "4000::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "2606:4700::1%1",
    "fec0::1",
    "ff02::1",
    "",
    "localhost",
    "127.1",
    "010.0.0.1",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses(address):
    check_address(address)
    check_address(address, allow_private=True)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_need_leave(address):
    with pytest.raises(FetchError, match=NOT_PUBLIC):
        check_address(address)
    check_address(address, allow_private=True)


@pytest.mark.parametrize("address", FORBIDDEN)
@pytest.mark.parametrize("allow_private", [False, True])
def test_forbidden_addresses_stay_so(address, allow_private):
    with pytest.raises(FetchError, match=NOT_PUBLIC) as refused:
        check_address(address, allow_private=allow_private)
    assert refused.value.reason == NOT_PUBLIC  # and never the address


@given(st.ip_addresses(v=4) | st.ip_addresses(network="2000::/3"))
def test_whatever_passes_is_global_by_the_standard_library_too(address):
    try:
        check_address(str(address))
    except FetchError:
        return
    kinds = ("private", "loopback", "link_local", "multicast", "reserved", "unspecified")
    assert not [kind for kind in kinds if getattr(address, f"is_{kind}")]


@pytest.mark.parametrize(
    "host", ["127.1", "2130706433", "0x7f.1", "0x7f000001", "0177.0.0.1", "017700000001", "0"]
)
def test_every_spelling_of_an_inner_address_is_an_address_when_it_is_checked(host):
    parts = check_url(f"https://{host}/")
    (entry, *_) = socket.getaddrinfo(parts.host, 443, type=socket.SOCK_STREAM)
    with pytest.raises(FetchError):
        check_address(entry[4][0])


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.example", Parts("https", "a.example", 443, "/")),
        ("HTTPS://A.Example:443/P?q=1#f", Parts("https", "a.example", 443, "/P?q=1")),
        ("https://a.example.", Parts("https", "a.example", 443, "/")),
        ("https://a.example:", Parts("https", "a.example", 443, "/")),
        ("https://a.example?x", Parts("https", "a.example", 443, "/?x")),
        ("https://a.example#/x", Parts("https", "a.example", 443, "/")),
        ("https://a.example/a b", Parts("https", "a.example", 443, "/a%20b")),
        ("https://a.example/%41/ü", Parts("https", "a.example", 443, "/%41/%C3%BC")),
        ("https://a.example/\\b", Parts("https", "a.example", 443, "/%5Cb")),
        ("https://bücher.example/", Parts("https", "xn--bcher-kva.example", 443, "/")),
        ("https://127。0。0。1/", Parts("https", "127.0.0.1", 443, "/")),
        ("https://[::FFFF:127.0.0.1]/", Parts("https", "::ffff:7f00:1", 443, "/")),
        ("https://a_b.example/@x", Parts("https", "a_b.example", 443, "/@x")),
        ("http://a.example/", Parts("http", "a.example", 80, "/")),
        ("https://a.example:8443/", Parts("https", "a.example", 8443, "/")),
    ],
)
def test_urls_taken_apart(url, expected):
    parts = check_url(url, allow_http=True, ports=[8443])
    if parts.host == "::ffff:127.0.0.1":  # the form of Python 3.13
        parts = Parts(parts.scheme, "::ffff:7f00:1", parts.port, parts.target)
    assert parts == expected
    assert check_url(parts.url, allow_http=True, ports=[8443]) is not None


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://a.example/", "only https"),
        ("", "no https URL"),
        ("ftp://a.example/", "no https URL"),
        ("file:///etc/passwd", "no https URL"),
        ("gopher://a/", "no https URL"),
        ("data:text/plain,x", "no https URL"),
        ("//a.example/", "no https URL"),
        (" https://a.example/", "no https URL"),
        ("https:/a.example/", "no https URL"),
        ("https:a.example", "no https URL"),
        ("https://a.example\\@b.example/", "no https URL"),
        ("https://user@a.example/", "user name"),
        ("https://user:secret@a.example/", "user name"),
        ("https://a.example@127.0.0.1/", "user name"),
        ("https://a.example:22/", "port 22 is not allowed"),
        ("https://a.example:80/", "port 80 is not allowed"),
        ("https://a.example:0/", "port 0 is not allowed"),
        ("https://a.example:99999/", "port 99999 is not allowed"),
        ("https://a.example:1e3/", "no valid host"),
        ("https://a.example:\uff1443/", "no valid host"),
        ("https://", "no valid host"),
        ("https:///x", "no valid host"),
        ("https://?x", "no valid host"),
        ("https://.a.example/", "no valid host"),
        ("https://a..example/", "no valid host"),
        ("https://-a.example/", "no valid host"),
        ("https://a b.example/", "no valid host"),
        ("https://a%2eexample/", "no valid host"),
        ("https://a℀.example/", "no valid host"),
        (f"https://{'a' * 64}.example/", "no valid host"),
        (f"https://{'a.' * 127}example/", "no valid host"),
        (f"https://{'ü' * 1000}/", "no valid host"),
        ("https://[::1/", "no valid host"),
        ("https://[::1]x/", "no valid host"),
        ("https://[fe80::1%25eth0]/", "no valid host"),
        ("https://[v1.a]/", "no valid host"),
        ("https://[:::]/", "no valid host"),
        ("https://a.example/\r\nx: y", "control characters"),
        ("https://a.example/\t", "control characters"),
        ("https://a.exa\nmple/", "control characters"),
        ("https://a.example/\x00", "control characters"),
        ("https://a.example/\ud800", "not valid Unicode"),
        (f"https://a.example/{'x' * 2048}", "longer than 2048"),
    ],
)
def test_urls_that_are_refused(url, reason):
    with pytest.raises(FetchError, match=reason):
        check_url(url)


@given(
    st.text()
    | st.text().map(lambda text: f"https://{text}")
    | st.from_regex(r"https?://[^/]{0,30}(:[0-9]{0,6})?(/.*)?", fullmatch=True)
)
def test_junk_is_refused_or_becomes_plain_ascii(url):
    try:
        parts = check_url(url, allow_http=True)
    except FetchError:
        return
    sent = f"{parts.host}{parts.target}"
    assert sent.isascii()
    assert sent.isprintable()
    assert " " not in sent
    assert check_url(parts.url, allow_http=True) == parts or len(parts.url) > 2048


@pytest.mark.parametrize(
    ("host", "allowed", "blocked", "passes"),
    [
        ("a.example", (), (), True),
        ("a.example", ("a.example",), (), True),
        ("b.a.example", ("a.example",), (), False),
        ("b.a.example", ("*.a.example",), (), True),
        ("a.example", ("*.A.example.",), (), True),
        ("ba.example", ("*.a.example",), (), False),
        ("a.example", ("*.example",), ("a.example",), False),
        ("b.example", ("*.example",), ("a.example",), True),
        ("c.b.example", (), ("*.b.example",), False),
    ],
)
def test_lists_of_hosts(host, allowed, blocked, passes):
    if passes:
        check_host(host, allowed=allowed, blocked=blocked)
    else:
        with pytest.raises(FetchError, match="does not allow its host"):
            check_host(host, allowed=allowed, blocked=blocked)
