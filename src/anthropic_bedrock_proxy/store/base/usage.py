"""The port of usage, and its records.

Money is integer nano-dollars, times are UTC epochs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Protocol

import msgspec

# Checked when a record is decoded: a number that no store column can hold, or not its sum over a
# batch, is refused there, so it cannot stand in the way of the records behind it.
MOST = 2**53 - 1
Count = Annotated[int, msgspec.Meta(ge=0, le=MOST)]
Moment = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799_999)]  # ms; the year 9999 ends there


class UsageRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One request that reached the model; `id` is the request id."""

    id: str
    key_id: str
    at_ms: Moment  # epoch milliseconds when the request was admitted
    model: str  # as the client asked for it
    bedrock_model_id: str
    dialect: str
    stream: bool = False
    input_tokens: Count = 0
    output_tokens: Count = 0
    cache_read_input_tokens: Count = 0
    cache_creation_input_tokens: Count = 0
    cache_creation_5m_input_tokens: Count = 0
    cache_creation_1h_input_tokens: Count = 0
    service_tier: str | None = None
    error: str | None = None  # Anthropic error type; None for a finished answer
    estimated: bool = False  # output tokens were estimated: the upstream never told them
    disconnected: bool = False  # the client left before the end
    latency_ms: Count = 0
    ttft_ms: Count | None = None  # time to first token
    cost_nano: Count | None = None  # None: not priced
    user_id: str | None = None
    team_id: str | None = None
    place: str = ""  # the provider that served it (as stored and exported); empty: the default one
    upstream_request_id: str | None = None  # as in the logs of AWS
    web_search_requests: Count = 0
    web_fetch_requests: Count = 0
    code_execution_requests: Count = 0


class UsageTotal(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over usage records that share the grouped-by columns; the others are None."""

    day: str | None = None  # UTC, YYYY-MM-DD
    key_id: str | None = None
    user_id: str | None = None  # also None for records that have none
    team_id: str | None = None
    model: str | None = None
    requests: int = 0
    errors: int = 0
    estimated: int = 0
    disconnected: int = 0
    unpriced: int = 0  # requests that no price is known for
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    cache_creation_5m_input_tokens: int = 0
    cache_creation_1h_input_tokens: int = 0
    web_search_requests: int = 0
    web_fetch_requests: int = 0
    code_execution_requests: int = 0
    cost_nano: int = 0  # of the requests that are not `unpriced`


class UsageBatch(msgspec.Struct, frozen=True):
    """Records that are delivered together, and again as the same batch if in doubt."""

    records: tuple[UsageRecord, ...]
    writer: str = ""  # the process that admitted the requests; it may hold budget for them
    number: int = 0  # grows with every batch of a writer, and is the same when it comes again
    # The last number of several batches that come as one. Only of what no store has ever seen: the
    # delivering process wrote it and tries for the first time. Afterwards they come one by one.
    through: int | None = None


class UsageLog(Protocol):
    """Usage records, each counted once however often it is appended."""

    @property
    def batches_at_once(self) -> int:
        """Bounds how many batches of a writer may come as one; see `UsageBatch.through`."""
        ...

    async def append(self, batch: UsageBatch) -> None:
        """Stores the records that are not there yet (by id), counts them, all or none.

        In the same step their cost is spent from the accounts of their key, user and team (month,
        day and total), and taken off the holds of the batch's writer there.
        """
        ...

    async def totals(
        self,
        *,
        by: Sequence[str] = ("key_id", "model"),
        since: str | None = None,
        until: str | None = None,
        key_id: str | None = None,
    ) -> Sequence[UsageTotal]:
        """Sums grouped by any of day, key_id, user_id, team_id, model.

        `since` (inclusive) and `until` (exclusive) are days, YYYY-MM-DD. Costs as much as there
        are days, keys and models, not records. Sorted by day, key, user, team, model. Raises
        `ValueError` for another column.
        """
        ...

    async def records(
        self,
        *,
        since_ms: int = 0,
        until_ms: int | None = None,
        key_id: str | None = None,
        after: str | None = None,
        limit: int = 1000,
    ) -> Sequence[UsageRecord]:
        """Lists records by id, which is the order of time; `after` is the id of the last one seen.

        With `key_id` only that key's. For exports: never on a request's path.
        """
        ...

    async def expire(self, before_ms: int) -> int:
        """Deletes records (not sums) from before that moment; returns how many.

        0 from a store that expires records by itself.
        """
        ...
