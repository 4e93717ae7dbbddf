"""The check of a provider's credentials, for `doctor`, with a mend for where they come from."""

from __future__ import annotations

import time
from typing import Final

from ..aws.credentials import CredentialsError
from ..aws_errors import UpstreamRefusal
from ..config import Settings
from ..config.aws_profile import profile_name
from ..diagnosis.checks import CheckResult, fail, ok, warn
from ..models.registry import DEFAULT_PROVIDER
from ..upstream.provider import Provider
from ..upstream.providers import Providers
from .bedrock import aws_environ, describe_credentials
from .health import judged

_GIVE_KEYS: Final = (
    "give AWS_BEARER_TOKEN_BEDROCK, AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or "
    "a role of the machine, container or pod"
)
_FILES: Final = "~/.aws/config or ~/.aws/credentials (AWS_CONFIG_FILE, AWS_SHARED_CREDENTIALS_FILE)"
_HOUR: Final = 60  # minutes


async def check_credentials(
    settings: Settings, providers: Providers, name: str, provider: Provider
) -> list[CheckResult]:
    """Looks whether the keys of a provider can be had, from where, and until when."""
    where = describe_credentials(settings) if name == DEFAULT_PROVIDER else None
    if name == DEFAULT_PROVIDER and where is None:
        return [fail("none are configured", _GIVE_KEYS)]
    try:
        state = await providers[name].look_at_credentials()
    except (UpstreamRefusal, CredentialsError) as error:
        words = error.message if isinstance(error, UpstreamRefusal) else str(error)
        return [fail(f"{where or name}: {words}", _mend(settings, name, provider, words))]
    finding = judged(state, time.time())
    found = f"{where or 'found'}, region {provider.region}"
    if state.expires_at is not None:
        found += f", expire in {_lasting(state.expires_at - time.time())}"
    if finding.state == "ok":
        return [ok(found)]
    line = fail if finding.state == "failed" else warn
    return [line(f"{found}: {finding.reason}", "renew them where they come from")]


def _mend(settings: Settings, name: str, provider: Provider, words: str) -> str:
    """Returns what mends credentials that cannot be had, for `words` of why."""
    profile = provider.profile or profile_name(aws_environ(settings))
    own = provider.profile is not None and name != DEFAULT_PROVIDER
    named = f"the `profile` of {name}" if own else "AWS_PROFILE"
    if "connect to the endpoint" in words:
        return "let this machine out to that host (security group, route), or set HTTPS_PROXY"
    if provider.role_arn is not None:
        return f"correct `role_arn` and `external_id` of {name}, or the trust policy of the role"
    if profile is None:
        return _GIVE_KEYS
    if "could not be found" in words:
        return (
            f"correct {named}, or make the profile {profile} in {_FILES}; "
            "`aws configure list-profiles` names those that are there"
        )
    if "SSO" in words:
        return f"log in, as the user that runs the proxy: `aws sso login --profile {profile}`"
    return f"give the profile {profile} credentials in {_FILES}, or name another in {named}"


def _lasting(seconds: float) -> str:
    minutes = max(0, int(seconds // 60))
    return f"{minutes // _HOUR} h {minutes % _HOUR} min" if minutes >= _HOUR else f"{minutes} min"
