"""Options of a simulator at its start: plain values.

Without credentials and bearer tokens every caller is let in, signed or not, as a local fake
usually should; with at least one of either, requests are verified as AWS verifies them.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from .script import Step

MAX_BODY_BYTES = 25_000_000  # InvokeModelRequest.body in the service model
# Application inference profiles: opaque id -> the model or profile that it was made from.
APPLICATION_PROFILES = {"sim0sonnet45": "us.anthropic.claude-sonnet-4-5-20250929-v1:0"}


class Credential(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One known key pair. `expires_at` is a Unix time in seconds; a token makes it temporary."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None = None
    expires_at: float | None = None


class SimulatorOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of one simulator. `region` and `account` only appear in ARNs it lists."""

    credentials: tuple[Credential, ...] = ()
    bearer_tokens: tuple[str, ...] = ()
    control: bool = True
    script: tuple[Step, ...] = ()
    region: str = "us-east-1"
    account: str = "123456789012"
    event_delay_seconds: float = 0.0
    application_profiles: Mapping[str, str] = msgspec.field(
        default_factory=lambda: dict(APPLICATION_PROFILES)
    )
    log_file: str | None = None
