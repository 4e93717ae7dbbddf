"""AWS's Price List API: what an account is billed for Bedrock, entry by entry.

One read, GetProducts, in the JSON 1.1 protocol, asked once a day at most and never for a request.
The API has one home for all regions of its partition. Service model: `pricing`. IAM:
pricing:GetProducts. An Amazon Bedrock API key does not open it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from ..aws.connect import Endpoint
from ..aws.credentials import CredentialsSource
from ..aws.http import Pool
from ..aws_errors import NOT_AN_ANSWER, UpstreamRefusal
from .aws_calls import AWSCalls, AWSRequest

PRICE_LIST_REGION: Final = "us-east-1"
_TARGET: Final = "AWSPriceListService.GetProducts"
_CONTENT_TYPE: Final = "application/x-amz-json-1.1"
_PAGE_SIZE: Final = 100  # the most that the API gives
_MAX_PAGES: Final = 200  # of one service in one region; they are some dozens
_MOST_CHARACTERS: Final = 64 << 20


class _Page(msgspec.Struct, frozen=True):
    entries: tuple[str, ...] = msgspec.field(name="PriceList", default=())
    next_token: str | None = msgspec.field(name="NextToken", default=None)


class PriceListAPI:
    """The Price List API, as one account sees it. Belongs to one event loop."""

    def __init__(
        self,
        pool: Pool,
        endpoint: Endpoint,
        *,
        credentials: CredentialsSource,
        timeout_seconds: float = 20.0,
        max_attempts: int = 4,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`timeout_seconds` bounds one attempt at one page."""
        self._calls = AWSCalls(
            pool,
            endpoint,
            name="the AWS Price List API",
            service="pricing",
            region=PRICE_LIST_REGION,
            credentials=credentials,
            timeout_seconds=timeout_seconds,
            max_attempts=max_attempts,
            sleep=sleep,
        )

    async def products(self, service: str, region: str) -> list[str]:
        """Lists the entries of a service in a region, each a text. Raises `UpstreamRefusal`."""
        found: list[str] = []
        size = 0
        token: str | None = None
        for _ in range(_MAX_PAGES):
            page = await self._page(service, region, token)
            found += page.entries
            size += sum(map(len, page.entries))
            token = page.next_token
            if not token:
                return found
            if size > _MOST_CHARACTERS:
                break
        raise UpstreamRefusal(NOT_AN_ANSWER, f"The price list of {service} does not end.")

    async def close(self) -> None:
        """Lets go of every connection."""
        await self._calls.close()

    async def _page(self, service: str, region: str, token: str | None) -> _Page:
        where = {"Type": "TERM_MATCH", "Field": "regionCode", "Value": region}
        asked: dict[str, object] = {
            "ServiceCode": service,
            "Filters": [where],
            "FormatVersion": "aws_v1",
            "MaxResults": _PAGE_SIZE,
        }
        if token is not None:
            asked["NextToken"] = token
        request = AWSRequest(
            method="POST",
            path="/",
            body=msgspec.json.encode(asked),
            content_type=_CONTENT_TYPE,
            headers=(("x-amz-target", _TARGET),),
        )
        return await self._calls.call(request, _Page)
