"""Each kind of value: what is taken, what is refused, and that nothing else is ever raised."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anthropic_bedrock_proxy.config import SettingsError, load_settings
from anthropic_bedrock_proxy.config.describe import _written
from anthropic_bedrock_proxy.config.parse import allowed, parse
from anthropic_bedrock_proxy.config.schema import fields
from anthropic_bedrock_proxy.config.settings import SECTIONS

FIELDS = {field.name: field for cls in SECTIONS.values() for field in fields(cls)}
BOUNDED = [f for f in FIELDS.values() if f.setting.minimum is not None]

# What a TOML file can hold, and any text.
ANYTHING = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["9" * 5000, "1e999", "nan", "-inf", "[" * 5000, '{"a": 1}', "[1]", '"a"']),
    st.integers(),
    st.just(10**400),
    st.floats(),
    st.booleans(),
    st.just(dt.date(2026, 1, 1)),
    st.lists(st.integers() | st.text(max_size=3), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=3), max_size=3),
)


def taken(name, text):
    return parse(FIELDS[name], text)


def refused(name, text):
    with pytest.raises(SettingsError) as caught:
        load_settings(environ={name: text}, env_file=None)
    (problem,) = caught.value.problems
    assert problem.startswith(f"{name} = ")
    assert allowed(FIELDS[name]) in problem


@settings(deadline=None)  # a busy machine is no failure
@given(st.sampled_from(sorted(FIELDS)), ANYTHING)
def test_any_value_is_parsed_or_refused_with_value_error(name, raw):
    try:
        value = parse(FIELDS[name], raw)
    except ValueError:
        return
    assert value is not None or FIELDS[name].optional


@pytest.mark.parametrize("name", FIELDS)
def test_default_as_it_is_written_parses_to_itself(name):
    field = FIELDS[name]
    if field.default is None or field.default != ():
        written = _written(field.default)
        assert parse(field, written) == field.default
    assert allowed(field)


@settings(deadline=None)  # a busy machine is no failure
@given(st.sampled_from(BOUNDED), st.integers(min_value=-(10**9), max_value=10**9))
def test_bounds(field, number):
    low, high = field.setting.minimum, field.setting.maximum
    if number >= low and (high is None or number <= high):
        assert parse(field, str(number)) == number
        assert parse(field, number) == number
    else:
        with pytest.raises(ValueError, match=r"^$"):
            parse(field, str(number))


@pytest.mark.parametrize("text", ["true", "True", "1", "yes", "ON", " on "])
def test_true(text):
    assert taken("ACCESS_LOG", text) is True


@pytest.mark.parametrize("text", ["false", "False", "0", "no", "OFF"])
def test_false(text):
    assert taken("ACCESS_LOG", text) is False


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("PORT", " 9000 ", 9000),
        ("PING_INTERVAL", "0.5", 0.5),
        ("DOCS_URL", "", None),
        ("DOCS_URL", "/help/v1", "/help/v1"),
        ("OPENAPI_URL", "/administration.json", "/administration.json"),
        ("LOG_LEVEL", "warning", "WARNING"),
        ("DEFAULT_CACHE_TTL", "1H", "1h"),
        ("DEFAULT_CACHE_TTL", "", None),
        ("HOST", "::1", "::1"),
        ("API_KEY_HEADER", "X-Api-Key", "x-api-key"),
        ("AWS_REGION", "us-gov-west-1", "us-gov-west-1"),
        ("AWS_REGION", "eusc-de-east-1", "eusc-de-east-1"),
        ("BEDROCK_ENDPOINT_URL", "http://localhost:4566/", "http://localhost:4566"),
        ("BEDROCK_ENDPOINT_URL", "https://[::1]:8443", "https://[::1]:8443"),
        ("BEDROCK_ENDPOINT_URL", "HTTPS://vpce-1.x.vpce.amazonaws.com", None),
        ("HTTPS_PROXY", "proxy:3128", "http://proxy:3128"),
        ("HTTPS_PROXY", "http://u:p%40@proxy:3128/", "http://u:p%40@proxy:3128"),
        ("STORE_URL", "dynamodb://", "dynamodb://"),
        ("LIMITS_URL", "rediss://:pw@cache.internal:6379/0", None),
        ("LIMITS_URL", "redis://cache", "redis://cache"),
        ("LIMITS_URL", "rediss://u:p@cache:6379/0?ssl_ca_certs=/etc/ca.pem", None),
        ("LIMITS_URL", "redis+sentinel://:p@one:26379,two,[::1]:3/mymaster/0?prefix=a", None),
        ("LIMITS_URL", "rediss+sentinel://one/my.master", None),
        ("LIMITS_URL", "rediss+cluster://u:p@one:6379,two:6380", None),
        ("LIMITS_URL", "redis+cluster://one:6379/0?prefix=a", None),
        ("BETA_HEADERS_BLOCKLIST", "a, b ,,c", ("a", "b", "c")),
        ("BETA_HEADERS_BLOCKLIST", '["a", "b"]', ("a", "b")),
        ("BETA_HEADERS_BLOCKLIST", "[]", ()),
        ("BETA_HEADER_MAPPING", '{"a": ["b"], "c": []}', {"a": ("b",), "c": ()}),
        ("DEFAULT_MODEL_MAPPING", '{"a": "b"}', {"a": "b"}),
        ("PTC_MEMORY_LIMIT", "1G", "1G"),
        ("JOURNAL_DIR", "var/j", Path("var/j")),
        ("AWS_CA_BUNDLE", __file__, Path(__file__)),
        ("PTC_SANDBOX_IMAGE", "python@sha256:00", "python@sha256:00"),
    ],
)
def test_taken(name, text, value):
    if value is None and text:
        value = text
    assert taken(name, text) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("PORT", ""),
        ("DOCS_URL", "docs"),
        ("DOCS_URL", "/"),
        ("DOCS_URL", "/docs/"),
        ("DOCS_URL", "/../docs"),
        ("DOCS_URL", "/{name}"),
        ("DOCS_URL", '/"><script>'),
        ("DOCS_URL", "/v1/docs"),
        ("DOCS_URL", "/admin"),
        ("OPENAPI_URL", "/health/openapi.json"),
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("PORT", "80.0"),
        ("PORT", "http"),
        ("WORKERS", "0"),
        ("WORKERS", "257"),
        ("UPSTREAM_MAX_ATTEMPTS", "21"),
        ("PING_INTERVAL", "0"),
        ("PING_INTERVAL", "nan"),
        ("PING_INTERVAL", "inf"),
        ("PING_INTERVAL", "15s"),
        ("ACCESS_LOG", "maybe"),
        ("ACCESS_LOG", ""),
        ("LOG_LEVEL", "verbose"),
        ("LOG_FORMAT", "xml"),
        ("ENVIRONMENT", "prod"),
        ("DEFAULT_CACHE_TTL", "10m"),
        ("DEFAULT_SERVICE_TIER", "gold"),
        ("HOST", ""),
        ("HOST", "a b"),
        ("HOST", "http://localhost"),
        ("API_KEY_HEADER", "x api key"),
        ("AWS_REGION", "us-east-1a"),
        ("AWS_REGION", "US East"),
        ("BEDROCK_ENDPOINT_URL", "localhost:4566"),
        ("BEDROCK_ENDPOINT_URL", "ftp://localhost"),
        ("BEDROCK_ENDPOINT_URL", "http://"),
        ("BEDROCK_ENDPOINT_URL", "http://host/model"),
        ("BEDROCK_ENDPOINT_URL", "http://host?x=1"),
        ("BEDROCK_ENDPOINT_URL", "http://user@host"),
        ("BEDROCK_ENDPOINT_URL", "http://host:0"),
        ("BEDROCK_ENDPOINT_URL", "http://host:65536"),
        ("BEDROCK_ENDPOINT_URL", "http://host name"),
        ("HTTPS_PROXY", "socks5://proxy:1080"),
        ("HTTPS_PROXY", "http://proxy:99999"),
        ("AWS_CA_BUNDLE", "/does/not/exist.pem"),
        ("AWS_CA_BUNDLE", "x" * 5000),
        ("STORE_URL", "postgres://x"),
        ("STORE_URL", "sqlite://data.db"),
        ("STORE_URL", "sqlite:///:memory:"),
        ("STORE_URL", "sqlite:///data/"),
        ("LIMITS_URL", "memcached://x"),
        ("LIMITS_URL", "redis://host:6379/db0"),
        ("LIMITS_URL", "redis://host:65536"),
        ("LIMITS_URL", "redis://one:1,two:2"),
        ("LIMITS_URL", "redis+sentinel://one:1,two:2"),
        ("LIMITS_URL", "redis+sentinel://one:1,two:2/"),
        ("LIMITS_URL", "redis+sentinel://one:65536/mymaster"),
        ("LIMITS_URL", "redis+cluster://one:1/2"),
        ("LIMITS_URL", "redis+cluster://one:1,/0"),
        ("LIMITS_URL", "redis+other://one:1"),
        ("DYNAMODB_USAGE_TABLE", "ab"),
        ("PTC_MEMORY_LIMIT", "lots"),
        ("DEFAULT_MODEL_MAPPING", ""),
        ("DEFAULT_MODEL_MAPPING", "a=b"),
        ("DEFAULT_MODEL_MAPPING", "[]"),
        ("DEFAULT_MODEL_MAPPING", '{"a": 1}'),
        ("DEFAULT_MODEL_MAPPING", '{"a": ""}'),
        ("BETA_HEADERS_BLOCKLIST", '["a", 1]'),
        ("BETA_HEADERS_BLOCKLIST", '["a"'),
        ("BETA_HEADER_MAPPING", '{"a": "b"}'),
        ("BETA_HEADER_MAPPING", "[]"),
        ("MASTER_API_KEY", "sk-a\nb"),
    ],
)
def test_refused(name, text):
    refused(name, text)
