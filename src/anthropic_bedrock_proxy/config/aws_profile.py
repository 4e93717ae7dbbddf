"""The profile of the AWS configuration files that counts: its region, and what is wrong with it.

Read as AWS's tools read them: `[default]` and `[profile NAME]` in AWS_CONFIG_FILE (~/.aws/config),
`[NAME]` in AWS_SHARED_CREDENTIALS_FILE (~/.aws/credentials), whose values win. Nothing is asked of
AWS: only what the files say.
Source: botocore's configuration loader (tests/config/test_aws_profile.py holds this against it);
AWS SDKs and Tools Reference Guide, "Shared config and credentials files".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

_DEFAULT: Final = "default"
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


class ProfileError(Exception):
    """The profile cannot give credentials; the message says why, and how to mend it."""


class _Token(msgspec.Struct):
    """The parts of a cached SSO token that tell whether it still holds."""

    expiresAt: str = ""  # noqa: N815  # AWS's name
    refreshToken: str | None = None  # noqa: N815


def region_of_profile(environ: Mapping[str, str]) -> tuple[str, str] | None:
    """Returns the region of the profile that counts, and the profile's name; None: it has none."""
    name = profile_name(environ) or _DEFAULT
    try:
        region = _profiles(environ).get(name, {}).get("region")
    except ProfileError:
        return None  # `check_profile` tells it
    return (region, name) if region else None


def default_profile_gives_keys(environ: Mapping[str, str]) -> bool:
    """Tells whether the default profile names a source of keys: many have nothing but a region."""
    try:
        return not _SOURCES.isdisjoint(_profiles(environ).get(_DEFAULT, {}))
    except ProfileError as error:  # of a broken file whoever looks keys up says what is wrong
        return not isinstance(error.__cause__, OSError)
    except RuntimeError:  # there is no home
        return False


def check_profile(environ: Mapping[str, str], *, now: datetime | None = None) -> None:
    """Raises `ProfileError` if the profile that AWS_PROFILE names cannot give credentials."""
    name = profile_name(environ)
    if name is None:
        return
    profiles = _profiles(environ)
    if name not in profiles:
        known = ", ".join(sorted(profiles)[:_MOST_NAMED]) or "none"
        files = " nor ".join(str(path) for path in _files(environ))
        raise ProfileError(
            f"AWS_PROFILE is {name}, which is not in {files}. Profiles there: {known}. "
            "Name one of them, or make it with `aws configure`"
        )
    profile = _with_keys(profiles, name)
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
        profiles = _profiles(environ)
        words = _origin(environ, _with_keys(profiles, name), now or datetime.now(UTC))
        if "role_arn" in profiles[name]:
            words = f"a role, with {words}" if words else "a role"
    except (ProfileError, KeyError):
        words = ""  # `check_profile` tells it
    return f"AWS profile {name}" + (f" ({words})" if words else "")


def until(text: str, *, now: datetime | None = None) -> str:
    """Words until when temporary keys hold: `, until 17:40 UTC`; empty if `text` is no moment."""
    try:
        ends = datetime.fromisoformat(text)
    except ValueError:
        return ""
    ends = ends.replace(tzinfo=UTC) if ends.tzinfo is None else ends.astimezone(UTC)
    today = ends.date() == (now or datetime.now(UTC)).astimezone(UTC).date()
    return f", until {ends:%H:%M} UTC" if today else f", until {ends:%Y-%m-%d %H:%M} UTC"


def _with_keys(profiles: Mapping[str, Mapping[str, str]], name: str) -> Mapping[str, str]:
    """Returns the profile that has the keys: that one, or the end of its `source_profile` chain."""
    profile, seen = profiles[name], {name}
    while (source := profile.get("source_profile")) and source not in seen:
        if source not in profiles:
            raise ProfileError(
                f"the AWS profile {name} takes its keys from source_profile = {source}, which does "
                f"not exist. Make that, or correct source_profile"
            )
        seen.add(source)
        profile = profiles[source]
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
    token = _sso_token(environ, key)
    return f"SSO{until(token.expiresAt, now=now)}" if token.refreshToken is None else "SSO, renewed"


def _check_sso(
    environ: Mapping[str, str], name: str, profile: Mapping[str, str], now: datetime
) -> None:
    session = profile.get("sso_session")
    key = session or profile.get("sso_start_url")
    if session and session not in _sections(_files(environ)[0], "sso-session "):
        raise ProfileError(
            f"the AWS profile {name} names the sso_session {session}, which does not exist. "
            "Run `aws configure sso`"
        )
    if not key or "aws_access_key_id" in profile:
        return
    token = _sso_token(environ, key)
    ends = datetime.fromisoformat(token.expiresAt) if token.expiresAt else None
    if ends is None or (token.refreshToken is None and ends <= now):
        raise ProfileError(
            f"the SSO session of the AWS profile {name} "
            f"{'has not begun' if ends is None else f'ended at {token.expiresAt}'}. Run `aws sso "
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


def _sso_token(environ: Mapping[str, str], key: str) -> _Token:
    """Reads the cached token of a session or start URL; an empty one if there is none."""
    from hashlib import sha1  # noqa: PLC0415  # seldom needed

    cached = f"{sha1(key.encode(), usedforsecurity=False).hexdigest()}.json"
    try:
        token = msgspec.json.decode(
            (_home(environ) / ".aws/sso/cache" / cached).read_bytes(), type=_Token
        )
        datetime.fromisoformat(token.expiresAt)
    except (OSError, ValueError, msgspec.MsgspecError):
        return _Token()
    return token


def profile_name(environ: Mapping[str, str]) -> str | None:
    """Returns the profile that the environment names; None: it names none."""
    return environ.get("AWS_PROFILE") or environ.get("AWS_DEFAULT_PROFILE")


def _home(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("HOME") or "~").expanduser()


def _files(environ: Mapping[str, str]) -> tuple[Path, Path]:
    """Returns the paths of the configuration and of the credentials file."""
    aws = _home(environ) / ".aws"
    return (
        Path(environ.get("AWS_CONFIG_FILE") or aws / "config").expanduser(),
        Path(environ.get("AWS_SHARED_CREDENTIALS_FILE") or aws / "credentials").expanduser(),
    )


def _profiles(environ: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Reads every profile. Raises `ProfileError` for a file that cannot be read."""
    config, credentials = _files(environ)
    found = _sections(config, "profile ")
    for name, values in _sections(credentials, "").items():
        found[name] = found.get(name, {}) | values
    return found


def _sections(path: Path, prefix: str) -> dict[str, dict[str, str]]:
    """Reads the sections whose names begin with `prefix`, and `default`; none without the file."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(f"{path} cannot be read: {error}") from error
    import configparser  # noqa: PLC0415  # only who has such a file pays for its parser

    parser = configparser.RawConfigParser(default_section="", strict=False)
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise ProfileError(f"{path} cannot be read: {error.message}") from error
    return {
        name: dict(parser[section])
        for section in parser.sections()
        for name in _named(section, prefix)
    }


def _named(section: str, prefix: str) -> Iterator[str]:
    if section == _DEFAULT and prefix != "sso-session ":
        yield section
    elif section.startswith(prefix):
        yield section.removeprefix(prefix).strip().strip("\"'")
