"""Sources of AWS credentials, and their refreshing.

Order: keys from the settings; else a named profile; else the AWS default chain (environment,
profile files, web identity, container, instance metadata) by awscrt, AWS's own C implementation,
imported on first use only. IAM Identity Center (SSO) profiles are not in that chain: they need the
`sso` extra, which brings botocore's resolver.
Nothing here is called per request while the cached credentials are fresh: see `current`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from .sigv4 import Credentials

REFRESH_AHEAD_SECONDS: Final = 300.0  # begin to refresh this long before the keys expire
_TOO_OLD_SECONDS: Final = 10.0  # never sign with keys that are about to expire in flight

_log = logging.getLogger("anthropic_bedrock_proxy.aws")


class CredentialsError(Exception):
    """No AWS credentials could be obtained; the message says what was tried and how to mend it."""


class CredentialsSource(Protocol):
    """Gives the AWS keys to sign with."""

    @property
    def current(self) -> Credentials | None:
        """Fresh keys without waiting, or None: then `get`."""
        ...

    async def get(self) -> Credentials:
        """Returns fresh keys. Raises `CredentialsError`."""
        ...

    def invalidate(self, refused: Credentials | None = None) -> None:
        """Forgets keys that AWS refused, unless there are fresher ones. None: whatever there is."""
        ...


class StaticSource:
    """Keys from the settings; they never change."""

    def __init__(self, credentials: Credentials) -> None:
        self.current: Credentials | None = credentials
        self._credentials = credentials

    async def get(self) -> Credentials:
        """Returns the keys."""
        return self._credentials

    def invalidate(self, refused: Credentials | None = None) -> None:
        """Does nothing: nothing fresher exists."""


class RefreshingSource:
    """Keys that expire: fetched on first use, refreshed in the background before they do."""

    def __init__(
        self,
        fetch: Callable[[], Awaitable[Credentials]],
        *,
        reset: Callable[[], None] | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`reset` makes the next `fetch` ask the origin: it drops what `fetch` itself remembers."""
        self._fetch = fetch
        self._reset = reset
        self._now = now
        self._cached: Credentials | None = None
        self._task: asyncio.Task[Credentials] | None = None

    @property
    def current(self) -> Credentials | None:
        """The cached keys while they are fresh; starts a refresh when they soon are not."""
        cached = self._cached
        if cached is None or cached.expires_at is None:
            return cached
        left = cached.expires_at - self._now()
        if left > REFRESH_AHEAD_SECONDS:
            return cached
        self._refresh()
        return cached if left > _TOO_OLD_SECONDS else None

    async def get(self) -> Credentials:
        """Returns fresh keys, fetched if need be. Raises `CredentialsError`."""
        current = self.current
        if current is None:
            # Shielded: one cancelled request must not take the refresh away from the others.
            current = await asyncio.shield(self._refresh())
        return current

    def invalidate(self, refused: Credentials | None = None) -> None:
        """Forgets the keys, so that the next request fetches new ones."""
        # Many requests may be refused for the same old keys: the first of them counts.
        cached = self._cached
        if refused is not None and cached is not None and not _same_keys(cached, refused):
            return
        self._cached = None
        if self._reset is not None:
            self._reset()

    def _refresh(self) -> asyncio.Task[Credentials]:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._fetch_and_keep())
            self._task.add_done_callback(self._fetched)
        return self._task

    async def _fetch_and_keep(self) -> Credentials:
        self._cached = await self._fetch()
        return self._cached

    def _fetched(self, task: asyncio.Task[Credentials]) -> None:
        self._task = None
        if not task.cancelled() and (error := task.exception()):
            _log.warning("AWS credentials could not be refreshed: %s", str(error))


def _same_keys(one: Credentials, other: Credentials) -> bool:
    return (one.access_key_id, one.session_token) == (other.access_key_id, other.session_token)


def crt_source(profile: str | None) -> RefreshingSource:
    """Makes the source of a named profile, or of the AWS default chain (None), by awscrt."""
    provider: Any = None

    async def fetch() -> Credentials:
        nonlocal provider
        from awscrt.auth import AwsCredentialsProvider  # noqa: PLC0415  # only when it is needed

        if provider is None:
            provider = (
                AwsCredentialsProvider.new_profile(profile_name=profile)
                if profile
                else AwsCredentialsProvider.new_default_chain()
            )
        asked = provider
        try:
            found = await asyncio.wrap_future(asked.get_credentials())
        except Exception as error:  # awscrt raises bare RuntimeErrors with its own codes
            provider = None
            where = f"profile {profile!r}" if profile else "the default chain"
            raise CredentialsError(f"AWS gave no credentials from {where}: {error}") from error
        expiry = getattr(found, "expiration", None)
        return Credentials(
            found.access_key_id,
            found.secret_access_key,
            found.session_token or None,
            expiry.timestamp() if expiry else None,
        )

    def reset() -> None:
        # The default chain caches for 15 minutes, a profile for ever.
        nonlocal provider
        provider = None

    return RefreshingSource(fetch, reset=reset)


def sso_source(profile: str) -> RefreshingSource:
    """Makes the source of an IAM Identity Center profile, by botocore (the `sso` extra)."""

    def resolve() -> Credentials:
        try:
            from botocore.session import Session  # noqa: PLC0415  # optional and heavy
        except ImportError as error:
            raise CredentialsError(
                f"profile {profile!r} uses IAM Identity Center (SSO): install "
                "'anthropic-bedrock-proxy[sso]' for it"
            ) from error
        try:
            found = Session(profile=profile).get_credentials()
            frozen = found.get_frozen_credentials() if found else None
        except Exception as error:  # botocore's tree of errors has one root, but so has its loader
            raise CredentialsError(f"profile {profile!r}: {error}") from error
        if frozen is None:
            raise CredentialsError(f"profile {profile!r} gave no credentials")
        # botocore does not tell the expiry of resolved SSO keys; asking it again is cheap.
        in_a_while = time.time() + 2 * REFRESH_AHEAD_SECONDS
        return Credentials(frozen.access_key, frozen.secret_key, frozen.token, in_a_while)

    async def fetch() -> Credentials:
        return await asyncio.to_thread(resolve)

    return RefreshingSource(fetch)


def chain_source(profile: str | None, environ: Mapping[str, str]) -> RefreshingSource:
    """Makes the right source for a profile name (None: the default chain)."""
    named = profile or environ.get("AWS_PROFILE")
    if named and _is_sso(named, environ):
        return sso_source(named)
    return crt_source(profile)


def credentials_hint(profile: str | None, environ: Mapping[str, str]) -> str | None:
    """Names the place where the chain would find credentials, without any network; None: nowhere.

    Instance metadata counts only on a machine that says it is EC2, so that a laptop without
    credentials learns it at once instead of after a time-out.
    """
    if profile or environ.get("AWS_PROFILE"):
        return f"AWS profile {profile or environ['AWS_PROFILE']}"
    if environ.get("AWS_ACCESS_KEY_ID"):
        return "AWS keys from the environment"
    if environ.get("AWS_WEB_IDENTITY_TOKEN_FILE"):
        return "a web identity token"
    if environ.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") or environ.get(
        "AWS_CONTAINER_CREDENTIALS_FULL_URI"
    ):
        return "the container's role"
    if any(path.is_file() for path in _profile_files(environ)):
        return "the default AWS profile"
    if environ.get("AWS_EC2_METADATA_DISABLED", "").lower() != "true" and _on_ec2():
        return "the instance's role"
    return None


def _profile_files(environ: Mapping[str, str]) -> list[Path]:
    home = Path(environ.get("HOME") or "~").expanduser()
    return [
        Path(environ.get("AWS_SHARED_CREDENTIALS_FILE") or home / ".aws" / "credentials"),
        Path(environ.get("AWS_CONFIG_FILE") or home / ".aws" / "config"),
    ]


def _is_sso(profile: str, environ: Mapping[str, str]) -> bool:
    import configparser  # noqa: PLC0415  # most have no profile

    parser = configparser.RawConfigParser()
    try:
        parser.read(_profile_files(environ)[1])
    except (OSError, configparser.Error):
        return False
    section = profile if profile == "default" else f"profile {profile}"
    return parser.has_option(section, "sso_session") or parser.has_option(section, "sso_start_url")


def _on_ec2() -> bool:
    # Nitro instances name the vendor; older Xen ones have a uuid that starts with "ec2".
    for path, prefix in (
        ("/sys/class/dmi/id/sys_vendor", "amazon ec2"),
        ("/sys/hypervisor/uuid", "ec2"),
    ):
        try:
            if Path(path).read_text(encoding="ascii").lower().startswith(prefix):
                return True
        except (OSError, UnicodeDecodeError):
            continue
    return False
