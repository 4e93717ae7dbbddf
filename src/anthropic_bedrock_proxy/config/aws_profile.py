"""The AWS profile that counts: its region, where its keys come from, and what is wrong with it.

Nothing is asked of AWS: only what its files say (aws_files.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from .aws_files import (
    DEFAULT,
    ProfileError,
    UnreadableFileError,
    moment,
    paths,
    profiles,
    sso_sessions,
    sso_token,
)

_MOST_NAMED: Final = 10
# Each of them is, or leads to, keys.
_SOURCES: Final = frozenset(
    (
        *("aws_access_key_id", "credential_process", "login_session", "role_arn", "source_profile"),
        *("sso_session", "sso_start_url", "web_identity_token_file"),
    )
)
_PAIR: Final = ("aws_access_key_id", "aws_secret_access_key")
_OTHER_SOURCES: Final = (_SOURCES - {"aws_access_key_id"}) | {"credential_source"}


def profile_name(environ: Mapping[str, str]) -> str | None:
    """Returns the profile that the environment names; None: it names none."""
    return environ.get("AWS_PROFILE") or environ.get("AWS_DEFAULT_PROFILE")


def region_of_profile(environ: Mapping[str, str]) -> tuple[str, str] | None:
    """Returns the region of the profile that counts, and the profile's name; None: it has none."""
    name = profile_name(environ) or DEFAULT
    try:
        region = profiles(environ).get(name, {}).get("region")
    except ProfileError:
        return None  # `check_profile` tells it
    return (region, name) if region else None


def default_profile_gives_keys(environ: Mapping[str, str]) -> bool:
    """Tells whether the default profile names a source of keys: many have nothing but a region."""
    try:
        return not _SOURCES.isdisjoint(profiles(environ).get(DEFAULT, {}))
    except UnreadableFileError:
        return False
    except ProfileError:  # of a broken file whoever looks keys up says what is wrong
        return True


def check_profile(environ: Mapping[str, str], *, now: datetime | None = None) -> None:
    """Raises `ProfileError` if the profile that AWS_PROFILE names cannot give credentials."""
    name = profile_name(environ)
    if name is None:
        return
    found = profiles(environ)
    if name not in found:
        known = ", ".join(sorted(found)[:_MOST_NAMED]) or "none"
        files = " nor ".join(map(str, paths(environ)))
        raise ProfileError(
            f"AWS_PROFILE is {name}, which is not in {files}. Profiles there: {known}. "
            "Name one of them, or make it with `aws configure`"
        )
    profile = _with_keys(found, name)
    _check_sso(environ, name, profile, now or datetime.now(UTC))
    _check_pair(name, profile)
    _check_process(environ, name, profile)


def describe_profile(environ: Mapping[str, str], *, now: datetime | None = None) -> str | None:
    """Describes the profile that the environment names: where its keys come from, until when.

    None: it names none. Only what the files say: `AWS profile dev (SSO, until 17:40 UTC)`.
    """
    name = profile_name(environ)
    if name is None:
        return None
    try:
        found = profiles(environ)
        words = _origin(environ, _with_keys(found, name), now or datetime.now(UTC))
        if "role_arn" in found[name]:
            words = f"a role, with {words}" if words else "a role"
    except (ProfileError, KeyError):
        words = ""  # `check_profile` tells it
    return f"AWS profile {name}" + (f" ({words})" if words else "")


def until(text: str, *, now: datetime | None = None) -> str:
    """Words until when temporary keys hold: `, until 17:40 UTC`; empty if `text` is no moment."""
    ends = moment(text)
    if ends is None:
        return ""
    today = ends.date() == (now or datetime.now(UTC)).astimezone(UTC).date()
    return f", until {ends:%H:%M} UTC" if today else f", until {ends:%Y-%m-%d %H:%M} UTC"


def _with_keys(found: Mapping[str, Mapping[str, str]], name: str) -> Mapping[str, str]:
    """Returns the profile that has the keys: that one, or the end of its `source_profile` chain."""
    profile, seen = found[name], {name}
    while (source := profile.get("source_profile")) and source not in seen:
        if source not in found:
            raise ProfileError(
                f"the AWS profile {name} takes its keys from source_profile = {source}, which does "
                f"not exist. Make that, or correct source_profile"
            )
        seen.add(source)
        profile = found[source]
    return profile


def _origin(environ: Mapping[str, str], profile: Mapping[str, str], now: datetime) -> str:
    if "aws_access_key_id" in profile:
        # What tools write that log in for somebody: saml2aws, aws-vault, gimme-aws-creds.
        ends = profile.get("aws_expiration") or profile.get("x_security_token_expires") or ""
        return f"temporary keys{until(ends, now=now)}" if "aws_session_token" in profile else "keys"
    if "credential_process" in profile:
        return "credential_process"
    key = profile.get("sso_session") or profile.get("sso_start_url")
    if not key:
        return ""
    token = sso_token(environ, key)
    renewed = token.refresh_token is not None
    return "SSO, renewed" if renewed else f"SSO{until(token.expires_at, now=now)}"


def _check_sso(
    environ: Mapping[str, str], name: str, profile: Mapping[str, str], now: datetime
) -> None:
    session = profile.get("sso_session")
    key = session or profile.get("sso_start_url")
    if session and session not in sso_sessions(environ):
        raise ProfileError(
            f"the AWS profile {name} names the sso_session {session}, which does not exist. "
            "Run `aws configure sso`"
        )
    if not key or "aws_access_key_id" in profile:
        return
    token = sso_token(environ, key)
    ends = token.ends
    if ends is None or (token.refresh_token is None and ends <= now):
        raise ProfileError(
            f"the SSO session of the AWS profile {name} "
            f"{'has not begun' if ends is None else f'ended at {token.expires_at}'}. Run `aws sso "
            f"login --profile {name}`, as the user that runs the proxy"
        )


def _check_pair(name: str, profile: Mapping[str, str]) -> None:
    """Raises `ProfileError` for half of a pair of keys, if nothing else may give keys."""
    missing = [half for half in _PAIR if not profile.get(half)]
    if len(missing) == 1 and _OTHER_SOURCES.isdisjoint(profile):
        raise ProfileError(
            f"the AWS profile {name} has no {missing[0]}, only the other half of the pair. Add it, "
            f"or run `aws configure --profile {name}`"
        )


def _check_process(environ: Mapping[str, str], name: str, profile: Mapping[str, str]) -> None:
    """Raises `ProfileError` if the program of `credential_process` is not there."""
    if not (command := profile.get("credential_process")) or profile.get(_PAIR[0]):
        return
    import shlex  # noqa: PLC0415  # seldom needed
    import shutil  # noqa: PLC0415

    try:
        program = shlex.split(command)[0]
    except (ValueError, IndexError):
        return  # whoever runs it says what is wrong
    if shutil.which(program, path=environ.get("PATH")) is None:
        raise ProfileError(
            f"the credential_process of the AWS profile {name} is {program}, which is no program "
            "on this machine. Install it, or correct credential_process"
        )
