"""When an Amazon Bedrock API key expires, as far as it says so itself.

A short-term key is a presigned request in base64 behind a prefix, whose query has the moment of
signing and the seconds that it holds; a long-term key (`ABSK…`) says nothing.
Source: https://docs.aws.amazon.com/bedrock/latest/userguide/api-keys.html, and AWS's token
generators (aws-bedrock-token-generator).

    bedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29tLz9BY3Rpb249Q2Fs…
        -> bedrock.amazonaws.com/?Action=CallWithBearerToken&…&X-Amz-Date=20261129T060000Z
           &X-Amz-Expires=43200&…
"""

from __future__ import annotations

from typing import Final

_DATED_PREFIX: Final = "bedrock-api-key-"


def expiry_of(token: str) -> float | None:
    """Returns when a bearer token expires, in epoch seconds; None if it does not say."""
    if not token.startswith(_DATED_PREFIX):
        return None
    # Only who looks at the health needs them.
    from base64 import b64decode  # noqa: PLC0415
    from calendar import timegm  # noqa: PLC0415
    from time import strptime  # noqa: PLC0415
    from urllib.parse import parse_qs, urlsplit  # noqa: PLC0415

    try:
        request = b64decode(token.removeprefix(_DATED_PREFIX) + "==").decode("ascii")
        query = parse_qs(urlsplit(request).query)
        signed = timegm(strptime(query["X-Amz-Date"][0], "%Y%m%dT%H%M%SZ"))
        return float(signed + int(query["X-Amz-Expires"][0]))
    except (ValueError, KeyError):
        return None
