"""No secret is ever shown: not in errors, not by `config`, not in a repr."""

from __future__ import annotations

import json
import string

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anthropic_bedrock_proxy.config import SettingsError, describe, load_settings
from anthropic_bedrock_proxy.config.schema import fields
from anthropic_bedrock_proxy.config.settings import SECTIONS

FIELDS = [field for cls in SECTIONS.values() for field in fields(cls)]
SECRETS = sorted(field.name for field in FIELDS if field.setting.secret)
URLS = sorted(field.name for field in FIELDS if field.setting.url)
# A start that occurs nowhere else, so that finding it means a leak.
MARK = "zQ9xVw"
SECRET = st.text(string.ascii_letters + string.digits + "+/=:%-_ ").map(lambda rest: MARK + rest)


def everything_shown(environ):
    """All that a user, a log or a traceback could show of these settings."""
    try:
        loaded = load_settings(environ=environ, env_file=None)
    except SettingsError as error:
        return str(error) + repr(error)
    assert MARK in str(msgspec.to_builtins(loaded)), "the value itself was loaded"
    document = msgspec.json.encode(describe.as_json(loaded)).decode()
    return document + describe.as_text(loaded) + repr(loaded) + str(loaded)


def test_the_secrets_are_these():
    assert SECRETS == [
        "AWS_BEARER_TOKEN_BEDROCK",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "MASTER_API_KEY",
        "METRICS_TOKEN",
        "OTEL_EXPORTER_OTLP_HEADERS",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
        "PROVIDERS",
        "PROVIDER_KEY_ENCRYPTION_SECRET",
        "SANDBOX_TOKEN",
        "WEB_SEAL_KEYS",
        "WEB_SEARCH_API_KEY",
    ]


@settings(deadline=None)  # a busy machine is no failure
@given(st.sampled_from(SECRETS), SECRET, st.booleans(), st.booleans())
def test_secrets_are_masked(name, secret, malformed, elsewhere):
    environ = {name: f"{secret}\x00" if malformed else secret}
    if name == "AWS_SECRET_ACCESS_KEY":
        environ["AWS_ACCESS_KEY_ID"] = "AKIA"
    if name == "PROVIDERS" and not malformed:
        environ[name] = json.dumps({"west": {"bearer_token": secret}})
    if elsewhere:
        environ["PORT"] = "wrong"
    shown = everything_shown(environ)
    assert MARK not in shown
    assert malformed or elsewhere or "****" in shown


@settings(deadline=None)  # a busy machine is no failure
@given(
    st.sampled_from(URLS),
    SECRET,
    st.sampled_from(
        [
            "https://user:{}@host:1/path",
            "http://{}@host:1",
            "user:{}@host:1",
            "redis://:{}@host:6379/0",
            "redis://:{}@@host:6379/0",
            "redis://host:6379/0?password={}",
            "redis+sentinel://:{}@one:1,two:2/mymaster/0",
            "redis+sentinel://one:1/mymaster?sentinel_password={}",
            "redis+cluster://:{}@one:1,two:2",
        ]
    ),
)
def test_passwords_in_urls_are_masked(name, secret, url):
    assert MARK not in everything_shown({name: url.format(secret)})


@pytest.mark.parametrize("value", ["12345", "{ a = 'zQ9xVw' }", "['zQ9xVw']"])
def test_a_secret_of_the_wrong_type_is_masked(tmp_path, value):
    path = tmp_path / "x.toml"
    path.write_text(f"master_api_key = {value}\n")
    with pytest.raises(SettingsError, match=r"MASTER_API_KEY = \*{4} \(from x.toml\)"):
        load_settings(path, environ={}, env_file=None)


def test_values_of_unknown_and_ignored_names_are_never_shown(tmp_path):
    path = tmp_path / ".env"
    path.write_text(f"OPENAI_API_KEY={MARK}\nMASTER_API_KEYS={MARK}\n")
    loaded = load_settings(environ={}, env_file=path)
    shown = describe.as_text(loaded) + repr(loaded)
    assert MARK not in shown
    assert "OPENAI_API_KEY (from .env)" in shown
    assert "did you mean MASTER_API_KEY?" in shown


HEADERS = ("AWS_BEARER_TOKEN_BEDROCK", "AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "MASTER_API_KEY")


@pytest.mark.parametrize("odd", ["\u2013", "é", "\u00a0", "\n", "\t", "\x7f"])
@pytest.mark.parametrize("name", [*HEADERS, "AWS_SECRET_ACCESS_KEY"])
def test_what_no_header_can_carry_is_refused_without_being_repeated(name, odd):
    environ = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "s"}
    environ |= {name: f"{MARK}{odd}rest"}
    with pytest.raises(SettingsError) as refused:
        load_settings(environ=environ, env_file=None)
    (problem,) = refused.value.problems
    assert problem.startswith(f"{name} = **** (from environment)")
    assert problem.endswith(("of ASCII", "ASCII, without blanks"))
    assert MARK not in problem
    assert "rest" not in problem


@pytest.mark.parametrize("name", HEADERS)
def test_blanks_around_a_secret_are_cut_as_a_file_s_last_newline(name):
    environ = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "s"} | {name: f" {MARK}\n"}
    loaded = load_settings(environ=environ, env_file=None)
    values = {**msgspec.structs.asdict(loaded.aws), **msgspec.structs.asdict(loaded.auth)}
    assert MARK in values.values()


def test_blanks_within_are_for_the_master_key_only():
    load_settings(environ={"MASTER_API_KEY": "a key"}, env_file=None)
    with pytest.raises(SettingsError):
        load_settings(environ={"AWS_BEARER_TOKEN_BEDROCK": "a key"}, env_file=None)
