"""An account and a region, as the settings and the store describe them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from ..aws.connect import Endpoint

DEFAULT_PROVIDER: Final = "default"  # as the registry calls it, which is no layer below this one
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_REGION: Final = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d{1,2}")
_TOKEN: Final = re.compile(r"[!-~]+")  # one word of printable ASCII: it goes into a header
_ROLE: Final = re.compile(r"arn:aws[\w-]*:iam::\d{12}:role/[\w+=,.@/-]+")


class Provider(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An account and a region. Without credentials of its own it has the default provider's."""

    region: str
    endpoint_url: str | None = None  # bedrock-runtime; None: the region's own
    mantle_endpoint_url: str | None = None
    profile: str | None = None
    role_arn: str | None = None  # assumed with the credentials, own or default
    external_id: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = None
    session_token: str | None = None
    bearer_token: str | None = None

    def __repr__(self) -> str:
        return f"Provider({self.region})"


def parse_provider(name: str, fields: Mapping[str, str]) -> Provider:
    """Parses one entry of PROVIDERS. Raises ValueError, which never quotes a value."""
    if name == DEFAULT_PROVIDER or not NAME.fullmatch(name):
        raise ValueError(
            "a name has up to 64 letters, digits and . _ - and is not "
            f"{DEFAULT_PROVIDER!r}, which is the provider of the AWS_* settings"
        )
    try:
        provider = msgspec.convert({key: value.strip() for key, value in fields.items()}, Provider)
    except msgspec.ValidationError as error:
        known = ", ".join(Provider.__struct_fields__)
        raise ValueError(f"{str(error).replace('`', '')} (there are: {known})") from None
    if problem := problem_of(provider):
        raise ValueError(problem)
    return provider


def problem_of(provider: Provider) -> str | None:
    """Describes what is wrong with a provider; None: nothing."""
    own = (provider.access_key_id, provider.profile, provider.bearer_token)
    for name in ("access_key_id", "secret_access_key", "session_token", "bearer_token"):
        if (text := getattr(provider, name)) is not None and not _TOKEN.fullmatch(text):
            return f"{name} has blanks, or what is not ASCII"
    if not _REGION.fullmatch(provider.region):
        return "region is not the name of an AWS region"
    for name in ("endpoint_url", "mantle_endpoint_url"):
        if (url := getattr(provider, name)) is not None and not _is_url(url):
            return f"{name} is not an http:// or https:// URL with a host and no user name"
    if bool(provider.access_key_id) != bool(provider.secret_access_key):
        return "access_key_id and secret_access_key belong together"
    if provider.session_token and not provider.access_key_id:
        return "session_token belongs to access_key_id"
    if sum(map(bool, own)) > 1:
        return "give one of access_key_id, profile and bearer_token"
    if provider.profile and not provider.profile.isprintable():
        return "profile contains control characters"  # it is named in the log
    if provider.role_arn and provider.bearer_token:
        return "a role cannot be assumed with a bearer_token"
    if provider.role_arn and not _ROLE.fullmatch(provider.role_arn):
        return "role_arn is not the ARN of an IAM role"
    if provider.external_id and not provider.role_arn:
        return "external_id belongs to role_arn"
    return None


def _is_url(text: str) -> bool:
    try:
        Endpoint.from_url(text)
    except ValueError:
        return False
    return "@" not in text  # a password would be shown with the URL
