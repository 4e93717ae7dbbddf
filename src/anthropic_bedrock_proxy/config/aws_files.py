"""The AWS configuration files: profiles, SSO sessions and cached SSO tokens, as they are written.

Read as AWS's tools read them: `[default]` and `[profile NAME]` in AWS_CONFIG_FILE (~/.aws/config),
`[NAME]` in AWS_SHARED_CREDENTIALS_FILE (~/.aws/credentials), whose values win. Who has no home has
no files. What a profile is good for is judged in aws_profile.py.
Source: botocore's configuration loader (tests/config/test_aws_profile.py holds this against it);
AWS SDKs and Tools Reference Guide, "Shared config and credentials files".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

DEFAULT: Final = "default"
_PROFILE: Final = "profile "
_SSO_SESSION: Final = "sso-session "


class ProfileError(Exception):
    """The profile cannot give credentials; the message says why, and how to mend it."""


class UnreadableFileError(ProfileError):
    """A file is there and cannot be opened."""


class SSOToken(msgspec.Struct, rename="camel"):
    """The parts of a cached SSO token that tell whether it still holds."""

    expires_at: str = ""
    refresh_token: str | None = None

    @property
    def ends(self) -> datetime | None:
        """The moment when it ends; None: it has not begun."""
        return moment(self.expires_at)


def profiles(environ: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Reads every profile. Raises `ProfileError` for a file that cannot be read."""
    config, credentials = paths(environ)
    found = _sections(config, _PROFILE)
    for name, values in _sections(credentials, "").items():
        found[name] = found.get(name, {}) | values
    return found


def sso_sessions(environ: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Reads every SSO session. Raises as `profiles`."""
    return _sections(paths(environ)[0], _SSO_SESSION)


def sso_token(environ: Mapping[str, str], key: str) -> SSOToken:
    """Reads the cached token of a session or start URL; an empty one if there is none."""
    from hashlib import sha1  # noqa: PLC0415  # seldom needed

    cached = f"{sha1(key.encode(), usedforsecurity=False).hexdigest()}.json"
    try:
        written = (_home(environ) / ".aws/sso/cache" / cached).read_bytes()
        return msgspec.json.decode(written, type=SSOToken)
    except (OSError, ValueError, msgspec.MsgspecError):
        return SSOToken()


def moment(text: str) -> datetime | None:
    """Reads a moment as tools of AWS write it, some without its zone, which is UTC; None: none."""
    try:
        found = datetime.fromisoformat(text.removesuffix("UTC"))
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def paths(environ: Mapping[str, str]) -> tuple[Path, Path]:
    """Returns the paths of the configuration and of the credentials file."""
    aws = _home(environ) / ".aws"
    return (
        _expanded(environ.get("AWS_CONFIG_FILE") or aws / "config"),
        _expanded(environ.get("AWS_SHARED_CREDENTIALS_FILE") or aws / "credentials"),
    )


def _home(environ: Mapping[str, str]) -> Path:
    return _expanded(environ.get("HOME") or "~")


def _expanded(path: str | Path) -> Path:
    """Expands a `~`; where there is no home it stays, and no file is there."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def _sections(path: Path, prefix: str) -> dict[str, dict[str, str]]:
    """Reads the sections whose names begin with `prefix`, by the rest; none without the file."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UnreadableFileError(f"{path} cannot be read: {error}") from error
    except UnicodeDecodeError as error:
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
    if section == DEFAULT and prefix != _SSO_SESSION:
        yield section
    elif section.startswith(prefix):
        yield section.removeprefix(prefix).strip().strip("\"'")
