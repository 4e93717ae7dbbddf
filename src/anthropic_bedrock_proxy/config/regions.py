"""Regions of AWS, and doubts about others: a mistyped one is a host that no request finds.

The list is botocore's own, read as a file: what it has not may still be newer than it.
"""

from __future__ import annotations

from pathlib import Path

import msgspec


class _Partition(msgspec.Struct):
    """A part of AWS with accounts of its own."""

    regions: dict[str, msgspec.Raw]


class _Partitions(msgspec.Struct):
    """The part of botocore's file that is read."""

    partitions: list[_Partition]


def doubt_about(region: str) -> str:
    """Returns what is odd about a region, in words; empty for one that AWS is known to have."""
    known = _known()
    if not known or region in known:
        return ""
    import difflib  # noqa: PLC0415  # only for a mistake

    close = difflib.get_close_matches(region, sorted(known), n=1)
    meant = f"; did you mean {close[0]}?" if close else ""
    return f"no region {region} of AWS is known here{meant}"


def _known() -> set[str]:
    """Lists the regions of AWS; none where the list is not to be had."""
    from importlib.util import find_spec  # noqa: PLC0415  # at the start only

    spec = find_spec("botocore")  # found, not imported: that would cost 15 MB
    if spec is None or spec.origin is None:
        return set()
    try:
        text = (Path(spec.origin).parent / "data/partitions.json").read_bytes()
        found = msgspec.json.decode(text, type=_Partitions)
    except (OSError, msgspec.MsgspecError):
        return set()
    return {region for partition in found.partitions for region in partition.regions}
