"""An account and a region, as the settings and the store describe them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from ..aws.connect import Endpoint

DEFAULT: Final = "default"
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_REGION: Final = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d{1,2}")
_TOKEN: Final = re.compile(r"[!-~]+")  # one word of printable ASCII: it goes into a header
_ROLE: Final = re.compile(r"arn:aws[\w-]*:iam::\d{12}:role/[\w+=,.@/-]+")


class Place(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An account and a region. Without credentials of its own it has those of the default place."""

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
        return f"Place({self.region})"


def parse_place(name: str, fields: Mapping[str, str]) -> Place:
    """Parses one entry of PROVIDERS. Raises ValueError, which never quotes a value."""
    if name == DEFAULT or not NAME.fullmatch(name):
        raise ValueError(
            f"a name has up to 64 letters, digits and . _ - and is not {DEFAULT!r}, which is the "
            "place of the AWS_* settings"
        )
    try:
        place = msgspec.convert({key: value.strip() for key, value in fields.items()}, Place)
    except msgspec.ValidationError as error:
        known = ", ".join(Place.__struct_fields__)
        raise ValueError(f"{str(error).replace('`', '')} (there are: {known})") from None
    if problem := problem_of(place):
        raise ValueError(problem)
    return place


def problem_of(place: Place) -> str | None:
    """Describes what is wrong with a provider; None: nothing."""
    own = (place.access_key_id, place.profile, place.bearer_token)
    for name in ("access_key_id", "secret_access_key", "session_token", "bearer_token"):
        if (text := getattr(place, name)) is not None and not _TOKEN.fullmatch(text):
            return f"{name} has blanks, or what is not ASCII"
    if not _REGION.fullmatch(place.region):
        return "region is not the name of an AWS region"
    for name in ("endpoint_url", "mantle_endpoint_url"):
        if (url := getattr(place, name)) is not None and not _is_url(url):
            return f"{name} is not an http:// or https:// URL with a host and no user name"
    if bool(place.access_key_id) != bool(place.secret_access_key):
        return "access_key_id and secret_access_key belong together"
    if place.session_token and not place.access_key_id:
        return "session_token belongs to access_key_id"
    if sum(map(bool, own)) > 1:
        return "give one of access_key_id, profile and bearer_token"
    if place.profile and not place.profile.isprintable():
        return "profile contains control characters"  # it is named in the log
    if place.role_arn and place.bearer_token:
        return "a role cannot be assumed with a bearer_token"
    if place.role_arn and not _ROLE.fullmatch(place.role_arn):
        return "role_arn is not the ARN of an IAM role"
    if place.external_id and not place.role_arn:
        return "external_id belongs to role_arn"
    return None


def _is_url(text: str) -> bool:
    try:
        Endpoint.from_url(text)
    except ValueError:
        return False
    return "@" not in text  # a password would be shown with the URL
