"""The geography in which a request may run: inference profiles, and regions without one.

What the operator fixed (`INFERENCE_GEOGRAPHY`) cannot be left by a client, whether it asks for a
geography, names a profile itself, or a model that needs none: it may only choose within.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import msgspec

from ..errors import InvalidRequestError

PROFILE_PREFIXES: Final = ("global", "us", "eu", "apac", "jp", "au", "in", "us-gov")
GOVERNMENT: Final = "us-gov"  # a partition of its own: AWS GovCloud
# Regions of partitions whose profiles no page lists: China, the European sovereign cloud, isolated.
# Source: partitions.json of botocore. Profiles never lead from one partition into another.
_UNLISTED: Final = ("cn-", "eusc-", "us-iso", "eu-iso")
WORLDWIDE: Final = "global"
REGIONAL: Final = "regional"
# The inference profiles of a region's own geography, nearest first, by the region's prefix.
_GEOGRAPHIES: Final = (
    ("us-gov-", ("us-gov",)),
    ("us-", ("us",)),
    ("ca-", ("us",)),
    ("eu-", ("eu",)),
    ("ap-northeast-1", ("jp", "apac")),
    ("ap-northeast-3", ("jp", "apac")),
    ("ap-southeast-2", ("au", "apac")),
    ("ap-southeast-4", ("au", "apac")),
    ("ap-south-", ("in", "apac")),
    ("ap-", ("apac",)),
)


class GeographyBounds(msgspec.Struct, frozen=True):
    """Profile prefixes, best first; `strict`: no other may serve."""

    prefixes: Sequence[str]
    strict: bool

    def choose(self, profiles: Collection[str], name: str) -> str:
        """Chooses the profile of a model that has some; empty if it has none here.

        Raises `InvalidRequestError` where no other may serve.
        """
        for prefix in self.prefixes:
            if prefix in profiles:
                return prefix
        if self.strict:
            raise self.refusal(name)
        return ""

    def check_profile(self, prefix: str, name: str) -> None:
        """Raises `InvalidRequestError` for a profile that a client named itself."""
        if self.strict and prefix not in self.prefixes:
            raise self.refusal(name)

    def check_region(self, region: str, name: str) -> None:
        """Raises `InvalidRequestError` where a model would run in the region itself."""
        if not self.strict or not self.prefixes:  # none: its own region, which has no profiles
            return
        if not {WORLDWIDE, *near(region)}.intersection(self.prefixes):
            raise self.refusal(name)

    def refusal(self, name: str) -> InvalidRequestError:
        """Returns the error for a model that does not run there."""
        return InvalidRequestError(
            f"inference_geo: {name[:200]} does not run in {', '.join(self.prefixes)[:80]} here; "
            "choose another geography or model"
        )


def bounds(own: str, region: str, asked: str) -> GeographyBounds:
    """`own` is the operator's word, `asked` the client's or empty. Raises `InvalidRequestError`."""
    if own == WORLDWIDE:
        if asked:
            return GeographyBounds((asked,), strict=True)
        # The worldwide profile where there is one, as the predecessor chose.
        worldwide = () if is_government(region) else (WORLDWIDE,)
        return GeographyBounds((*worldwide, *near(region)), strict=False)
    allowed = near(region) if own == REGIONAL else (own,)
    if asked and asked not in allowed:
        raise InvalidRequestError(
            f"inference_geo: the operator of this proxy allows only {', '.join(allowed)}"
        )
    return GeographyBounds((asked,) if asked else allowed, strict=True)


def check_partition(prefix: str, region: str, name: str) -> None:
    """Raises `InvalidRequestError` for a profile that can never be called from a region."""
    government = is_government(region)
    if government != (prefix == GOVERNMENT):
        there = "only us-gov profiles exist" if government else "no us-gov profile exists"
        raise InvalidRequestError(f"model: {name[:200]} is not in {region}: {there} there")


def serves(prefix: str, region: str) -> bool:
    """Tells whether profiles of this prefix can be called in a region; empty: no profile."""
    return prefix == "" or (exists_in(prefix, region) and prefix in (WORLDWIDE, *near(region)))


def is_government(region: str) -> bool:
    """Tells whether a region is one of AWS GovCloud."""
    return region.startswith(GOVERNMENT)


def exists_in(prefix: str, region: str) -> bool:
    """Tells whether a profile of this prefix is one of the region's partition, as far as known."""
    government = is_government(region)
    return government == (prefix == GOVERNMENT) and not region.startswith(_UNLISTED)


def prefix_of(name: str) -> str:
    """The profile prefix of a Bedrock id; empty if it has none. Also of a profile's ARN."""
    head, _, rest = name.rpartition("/")[2].partition(".")
    return head if rest and head in PROFILE_PREFIXES else ""


def base_model_id(name: str) -> str:
    """Returns a Bedrock id without its inference profile prefix."""
    prefix, _, rest = name.partition(".")
    return rest if prefix in PROFILE_PREFIXES and rest else name


def near(region: str) -> tuple[str, ...]:
    """Lists the profile prefixes of a region's own geography, nearest first."""
    return next((names for prefix, names in _GEOGRAPHIES if region.startswith(prefix)), ())
