"""The AWS profile, read as AWS's own tools read it: botocore is the oracle."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from hashlib import sha1
from pathlib import Path

import pytest

from anthropic_bedrock_proxy.config import load_settings
from anthropic_bedrock_proxy.config.aws_files import ProfileError
from anthropic_bedrock_proxy.config.aws_profile import (
    check_profile,
    default_profile_gives_keys,
    describe_profile,
    profile_name,
    region_of_profile,
)

NOW = datetime(2026, 11, 28, tzinfo=UTC)
CONFIG = """
[default]
region = eu-central-1
[profile work]
region=ap-south-1
s3 =
    max_concurrent_requests = 20
[profile "two words"]
region = us-west-2
[profile none]
output = json
[profile both]
region = eu-west-1
[profile chain]
source_profile = keys
role_arn = arn:aws:iam::123456789012:role/x
[profile broken]
source_profile = gone
[profile round]
source_profile = circle
[profile circle]
source_profile = round
[sso-session ours]
sso_region = us-east-1
sso_start_url = https://x.awsapps.com/start
[profile sso]
sso_session = ours
[profile lost-sso]
sso_session = theirs
[profile old-sso]
sso_start_url = https://y.awsapps.com/start
"""
CREDENTIALS = """
[short]
aws_access_key_id = ASIA
aws_secret_access_key = secret
aws_session_token = token
x_security_token_expires = 2026-11-28T19:40:00+02:00
[shorter]
aws_access_key_id = ASIA
aws_session_token = token
aws_expiration = 2026-11-29T01:00:00Z
[keys]
aws_access_key_id = AKID
aws_secret_access_key = secret
[both]
region = eu-west-2
[half]
aws_access_key_id = AKID
[other-half]
aws_secret_access_key = secret
[half-and-more]
aws_access_key_id = AKID
web_identity_token_file = /token
[no-program]
credential_process = /no/such/program --for us
[program]
credential_process = "sh" -c true
[no-words]
credential_process = 'open
"""


@pytest.fixture
def home(tmp_path):
    (tmp_path / ".aws/sso/cache").mkdir(parents=True)
    (tmp_path / ".aws/config").write_text(CONFIG)
    (tmp_path / ".aws/credentials").write_text(CREDENTIALS)
    return tmp_path


def environ(home, profile=None, **more):
    return {"HOME": str(home), **({"AWS_PROFILE": profile} if profile else {}), **more}


def region_for_botocore(home, profile):
    from botocore.session import Session  # noqa: PLC0415  # heavy

    session = Session(profile=profile)
    session.set_config_variable("config_file", str(home / ".aws/config"))
    session.set_config_variable("credentials_file", str(home / ".aws/credentials"))
    return session.get_scoped_config().get("region")


@pytest.mark.parametrize("profile", [None, "work", "two words", "none", "both", "keys", "chain"])
def test_the_region_is_that_of_aws_s_own_tools(home, profile):
    found = region_of_profile(environ(home, profile))
    expected = region_for_botocore(home, profile)
    assert (found and found[0]) == expected
    settings = load_settings(environ=environ(home, profile), env_file=None)
    assert settings.aws.region == (expected or "us-east-1")
    if expected:
        assert settings.sources["AWS_REGION"] == f"the AWS profile {profile or 'default'}"


@pytest.mark.parametrize("name", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_variables_come_before_the_profile(home, name):
    settings = load_settings(environ=environ(home, "work", **{name: "sa-east-1"}), env_file=None)
    assert settings.aws.region == "sa-east-1"


def test_files_and_profiles_may_be_named_in_the_env_file(home, tmp_path):
    (tmp_path / "elsewhere").write_text("[profile x]\nregion = ca-central-1\n")
    env = tmp_path / ".env"
    env.write_text(f"AWS_PROFILE=x\nAWS_CONFIG_FILE={tmp_path}/elsewhere\n")
    settings = load_settings(environ={"HOME": str(home)}, env_file=env)
    assert settings.aws.region == "ca-central-1"


@pytest.mark.parametrize(
    ("profile", "told"),
    [
        ("typo", "is typo, which is not in .*Profiles there: both, broken"),
        ("broken", "source_profile = gone, which does not exist"),
        ("lost-sso", "sso_session theirs, which does not exist"),
        ("sso", "has not begun. Run `aws sso login --profile sso`"),
        ("old-sso", "ended at 2026-11-27T00:00:00Z. Run `aws sso login"),
        ("half", "has no aws_secret_access_key, .* `aws configure --profile half`"),
        ("other-half", "has no aws_access_key_id"),
        ("no-program", "is /no/such/program, which is no program on this machine"),
    ],
)
def test_a_profile_that_gives_nothing_is_refused_with_the_mend(home, profile, told):
    remember(home, "https://y.awsapps.com/start", NOW - timedelta(days=1))
    with pytest.raises(ProfileError, match=told):
        check_profile(environ(home, profile), now=NOW)


@pytest.mark.parametrize(
    "profile",
    [
        *(None, "work", "none", "chain", "keys", "round", "sso"),
        *("half-and-more", "program", "no-words"),
    ],
)
def test_others_are_not(home, profile):
    remember(home, "ours", NOW + timedelta(hours=1))
    check_profile(environ(home, profile), now=NOW)


def test_a_session_that_can_be_renewed_is_none_that_has_ended(home):
    remember(home, "ours", NOW - timedelta(hours=1), refreshToken="x")
    check_profile(environ(home, "sso"), now=NOW)


@pytest.mark.parametrize("zone", ["", "UTC", "Z", "+00:00"])
def test_moments_of_tokens_are_read_in_every_form_that_tools_have_written(home, zone):
    remember(home, "ours", NOW, expiresAt=f"2026-11-28T01:00:00{zone}")
    check_profile(environ(home, "sso"), now=NOW)
    with pytest.raises(ProfileError, match="ended at 2026-11-28T01:00:00"):
        check_profile(environ(home, "sso"), now=NOW + timedelta(hours=1))


def remember(home, key, ends, **more):
    name = f"{sha1(key.encode(), usedforsecurity=False).hexdigest()}.json"
    token = {"expiresAt": f"{ends:%Y-%m-%dT%H:%M:%SZ}", "accessToken": "x", **more}
    (home / ".aws/sso/cache" / name).write_text(json.dumps(token))


@pytest.mark.parametrize(
    ("profile", "words"),
    [
        ("keys", " (keys)"),
        ("short", " (temporary keys, until 17:40 UTC)"),
        ("shorter", " (temporary keys, until 2026-11-29 01:00 UTC)"),
        ("sso", " (SSO, until 01:00 UTC)"),
        ("old-sso", " (SSO, renewed)"),
        ("chain", " (a role, with keys)"),
        ("lost-sso", " (SSO)"),
        ("none", ""),
        ("typo", ""),
        ("broken", ""),
    ],
)
def test_a_profile_is_described_as_far_as_the_files_tell(home, profile, words):
    remember(home, "ours", NOW + timedelta(hours=1))
    remember(home, "https://y.awsapps.com/start", NOW + timedelta(hours=1), refreshToken="x")
    assert describe_profile(environ(home, profile), now=NOW) == f"AWS profile {profile}{words}"


def test_without_a_profile_there_is_none_to_describe(home):
    assert describe_profile(environ(home)) is None
    assert profile_name({"AWS_DEFAULT_PROFILE": "work"}) == "work"


def test_files_that_cannot_be_read_are_told(home):
    (home / ".aws/config").write_text("no section = 1\n")
    assert region_of_profile(environ(home)) is None
    with pytest.raises(ProfileError, match=r"config cannot be read"):
        check_profile(environ(home, "work"))
    (home / ".aws/config").write_bytes(b"\xff\xfe")
    with pytest.raises(ProfileError, match=r"config cannot be read"):
        check_profile(environ(home, "work"))


def without_a_home(monkeypatch):
    """Makes this process one of a user whom the machine does not know, as in some containers."""
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000)


def test_who_has_no_home_has_no_files(monkeypatch, tmp_path):
    without_a_home(monkeypatch)
    with pytest.raises(RuntimeError):
        Path("~").expanduser()
    assert region_of_profile({}) is None
    assert load_settings(environ={}, env_file=None).aws.region == "us-east-1"
    with pytest.raises(ProfileError, match=r"is not in ~/\.aws/config"):
        check_profile({"AWS_PROFILE": "work"})
    assert describe_profile({"AWS_PROFILE": "work"}) == "AWS profile work"
    (tmp_path / "mine").write_text(CONFIG)
    named = {"AWS_PROFILE": "work", "AWS_CONFIG_FILE": str(tmp_path / "mine")}
    assert region_of_profile(named) == ("ap-south-1", "work")


def test_without_files_there_is_no_region(tmp_path):
    assert region_of_profile(environ(tmp_path)) is None
    with pytest.raises(ProfileError, match="Profiles there: none"):
        check_profile(environ(tmp_path, "work"))


@pytest.mark.parametrize(
    ("text", "gives"),
    [
        ("[default]\nregion = eu-central-1\n", False),
        ("[profile other]\naws_access_key_id = a\n", False),
        ("[default]\naws_access_key_id = a\n", True),
        ("[default]\ncredential_process = vault\n", True),
        ("[default]\nsso_session = work\n", True),
        ("not a file of AWS", True),  # nobody knows
    ],
)
@pytest.mark.parametrize("variable", ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"])
def test_a_default_profile_counts_if_it_names_a_source_of_keys(tmp_path, variable, text, gives):
    (tmp_path / "mine").write_text(text)
    environ = {"HOME": str(tmp_path / "none"), variable: str(tmp_path / "mine")}
    assert default_profile_gives_keys(environ) is gives


@pytest.mark.parametrize("home", ["/" + "x" * 300, "~nobody-of-this-name"])
def test_a_home_that_cannot_be_looked_into_gives_none(home):
    assert not default_profile_gives_keys({"HOME": home})
