"""Usage in every store."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from store_rows import DAY_MS, NOVEMBER_30, a_key, a_record, batch, digest, standings

from anthropic_bedrock_proxy.store.base.ledger import Account
from anthropic_bedrock_proxy.store.base.usage import UsageBatch, UsageRecord, UsageTotal
from anthropic_bedrock_proxy.store.totals import COUNTED


def test_a_usage_record_counts_once(opened):
    async def story():
        async with opened() as store:
            first = batch(a_record("1", input_tokens=5), a_record("2", input_tokens=7))
            for _ in range(3):
                await store.usage.append(first)
            await store.usage.append(
                batch(*first.records, a_record("3"), a_record("3"), a_record("1"))
            )
            await store.usage.append(batch(a_record("3"), a_record("2"), writer="other"))
            await store.usage.append(batch())
            (total,) = await store.usage.totals()
            assert (total.requests, total.input_tokens) == (3, 12)
            assert [record.id for record in await store.usage.records()] == ["1", "2", "3"]

    asyncio.run(story())


def test_batches_that_came_as_one_count_once_when_they_come_one_by_one(opened):
    async def story():
        async with opened() as store:
            one = batch(a_record("1", cost_nano=5), a_record("2", cost_nano=7))
            two = batch(a_record("3", cost_nano=1), a_record("4", key_id="key_2", cost_nano=2))
            several = UsageBatch(one.records + two.records, "w", one.number, through=two.number)
            for delivery in (several, one, two, one):
                await store.usage.append(delivery)
            assert [total.cost_nano for total in await store.usage.totals(by=("key_id",))] == [
                13,
                2,
            ]
            assert [record.id for record in await store.usage.records()] == ["1", "2", "3", "4"]
            assert all(s.spent_nano == 13 for s in await standings(store))

    asyncio.run(story())


def test_a_record_that_comes_again_is_as_it_came_first_and_costs_once(opened):
    async def story():
        async with opened() as store:
            first = batch(a_record("1", cost_nano=5), a_record("2", cost_nano=7))
            await store.usage.append(first)
            again = batch(a_record("2", cost_nano=70, model="n"), a_record("3", cost_nano=1))
            for delivery in (again, first, again):
                await store.usage.append(delivery)
            (total,) = await store.usage.totals(by=())
            assert total == UsageTotal(requests=3, cost_nano=13)
            assert (await store.usage.records())[1] == first.records[1]
            spent = {s.account.period: s.spent_nano for s in await standings(store)}
            assert spent == {"1970-01": 13, "1970-01-01": 13, "total": 13}

    asyncio.run(story())


MOST = 2**53 - 1


FULL = {
    name: MOST
    for name in (*COUNTED, "cost_nano")
    if name in UsageRecord.__struct_fields__ and name not in {"estimated", "disconnected"}
}


def test_sums_beyond_64_bits_are_exact(opened):
    """Prices and counts of tokens are what others say: absurd ones must not end all reports."""

    async def story():
        async with opened() as store:
            for day in range(4):
                records = [
                    a_record(f"{day}{number:03}", at_ms=day * DAY_MS, **FULL)
                    for number in range(257)
                ]
                await store.usage.append(batch(*records))
            await store.usage.append(batch(a_record("9", at_ms=9 * DAY_MS, key_id="key_2")))
            (total,) = await store.usage.totals(by=())
            assert (total.requests, total.unpriced) == (1029, 1)
            for name in FULL:
                assert getattr(total, name) == 1028 * MOST > 2**63, name
            first, second = await store.usage.totals(by=("key_id",), key_id=None)
            assert (first.key_id, first.cost_nano) == ("key_1", 1028 * MOST)
            assert (second.key_id, second.cost_nano) == ("key_2", 0)
            (mine,) = await store.usage.totals(by=("model",), key_id="key_1")
            assert (mine.model, mine.output_tokens) == ("m", 1028 * MOST)

    asyncio.run(story())


def test_one_day_and_one_account_may_be_full_and_go_on(opened):
    async def story():
        async with opened() as store:
            account = Account("key:key_1", "total")
            for number in range(3):
                await store.ledger.borrow(
                    account, holder="w", amount_nano=5, budget_nano=2**62, now=0, until=100
                )
                records = [a_record(f"{number}{n:03}", **FULL) for n in range(342)]
                await store.usage.append(batch(*records))
            await store.usage.append(batch(a_record("9", cost_nano=1)))
            (total,) = await store.usage.totals()
            assert total.requests == 1027
            assert 2**63 - 1 <= total.cost_nano <= 1026 * MOST + 1
            assert 2**63 - 1 <= total.input_tokens <= 1026 * MOST
            assert isinstance(total.cost_nano, int)
            assert isinstance(total.input_tokens, int)
            for standing in await standings(store):
                assert isinstance(standing.spent_nano, int)
                assert 2**63 - 1 <= standing.spent_nano <= 1026 * MOST + 1
                assert standing.held_nano == 0
            granted, _ = await store.ledger.borrow(
                account, holder="v", amount_nano=1, budget_nano=2**63 - 1, now=0, until=100
            )
            assert granted == 0

    asyncio.run(story())


def test_totals_add_up_every_column(opened):
    fields = {
        "input_tokens": 1,
        "output_tokens": 2,
        "cache_read_input_tokens": 4,
        "cache_creation_input_tokens": 8,
        "cache_creation_5m_input_tokens": 16,
        "cache_creation_1h_input_tokens": 32,
        "web_search_requests": 64,
        "web_fetch_requests": 128,
        "code_execution_requests": 256,
        "cost_nano": 2**40,
    }

    async def story():
        async with opened() as store:
            await store.usage.append(
                batch(
                    a_record("1", **fields),
                    a_record("2", error="api_error"),
                    a_record("3", estimated=True, disconnected=True, **fields),
                )
            )
            (total,) = await store.usage.totals(by=())
            doubled = {name: 2 * value for name, value in fields.items()}
            assert total == UsageTotal(
                requests=3, errors=1, estimated=1, disconnected=1, unpriced=1, **doubled
            )

    asyncio.run(story())


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        (("key_id", "model"), [(None, "a", None, None, "m", 2), (None, "a", None, None, "n", 1),
                               (None, "b", None, None, "m", 1)]),
        (("key_id",), [(None, "a", None, None, None, 3), (None, "b", None, None, None, 1)]),
        (("user_id",), [(None, None, None, None, None, 2), (None, None, "u", None, None, 2)]),
        (("team_id",), [(None, None, None, None, None, 1), (None, None, None, "t", None, 3)]),
        (("team_id", "user_id"), [(None, None, None, "t", None, 2),
                                  (None, None, "u", None, None, 1),
                                  (None, None, "u", "t", None, 1)]),
        (("model",), [(None, None, None, None, "m", 3), (None, None, None, None, "n", 1)]),
        (("day",), [("1970-01-01", None, None, None, None, 2),
                    ("1970-01-02", None, None, None, None, 2)]),
        (("model", "day"), [("1970-01-01", None, None, None, "m", 2),
                            ("1970-01-02", None, None, None, "m", 1),
                            ("1970-01-02", None, None, None, "n", 1)]),
        ((), [(None, None, None, None, None, 4)]),
    ],
)  # fmt: skip
def test_totals_group_by_any_columns_in_a_fixed_order(opened, by, expected):
    async def story():
        async with opened() as store:
            await store.usage.append(
                batch(
                    a_record("1", key_id="b", at_ms=0, user_id="u"),
                    a_record("2", key_id="a", at_ms=DAY_MS - 1, user_id="u", team_id="t"),
                    a_record("3", key_id="a", at_ms=DAY_MS, model="n", team_id="t"),
                )
            )
            await store.usage.append(
                batch(a_record("4", key_id="a", at_ms=DAY_MS, team_id="t"), writer="other")
            )
            rows = await store.usage.totals(by=by)
            assert [
                (row.day, row.key_id, row.user_id, row.team_id, row.model, row.requests)
                for row in rows
            ] == expected

    asyncio.run(story())


def test_totals_take_since_inclusive_until_exclusive_and_one_key(opened):
    async def story():
        async with opened() as store:
            usage = store.usage
            days = [
                a_record(str(day), at_ms=NOVEMBER_30 + day * DAY_MS - 1, key_id=f"key_{day % 2}")
                for day in range(4)
            ]  # the last moments of the 29th and the 30th, the 1st and the 2nd
            await usage.append(batch(*days))

            async def count(**filters):
                return sum(row.requests for row in await usage.totals(**filters))

            assert await count() == 4
            assert await count(since="2026-11-30") == 3
            assert await count(until="2026-11-30") == 1
            assert await count(since="2026-11-30", until="2026-12-02") == 2
            assert await count(since="2026-11-30", until="2026-12-02", key_id="key_1") == 1
            assert await count(key_id="key_7") == 0
            with pytest.raises(ValueError, match="dialect"):
                await usage.totals(by=("dialect",))

    asyncio.run(story())


def test_nothing_priced_is_not_a_cost_of_nothing(opened):
    async def story():
        async with opened() as store:
            assert await store.usage.totals() == []
            await store.usage.append(
                batch(
                    a_record("1", model="none"),
                    a_record("2", model="free", cost_nano=0),
                    a_record("3", model="some"),
                    a_record("4", model="some", cost_nano=7),
                )
            )
            free, unpriced, some = await store.usage.totals(by=("model",))
            assert (free.cost_nano, free.unpriced) == (0, 0)
            assert (unpriced.cost_nano, unpriced.unpriced) == (0, 1)
            assert (some.cost_nano, some.unpriced, some.requests) == (7, 1, 2)

    asyncio.run(story())


def test_many_tasks_at_once(opened):
    async def story():
        async with opened() as store:
            await asyncio.gather(
                *(
                    store.usage.append(batch(a_record(str(n % 50), cost_nano=1), writer=f"w{n}"))
                    for n in range(100)
                ),
                *(store.keys.create(a_key(id=f"key_{n}"), digest(str(n))) for n in range(20)),
            )
            (total,) = await store.usage.totals()
            assert (total.requests, total.cost_nano) == (50, 50)
            assert {standing.spent_nano for standing in await standings(store)} == {50}
            assert len(await store.keys.list()) == 20

    asyncio.run(story())


def test_a_record_comes_back_whole(opened):
    full = a_record(
        "1",
        **{name: number for number, name in enumerate(INTEGERS)},
        stream=True,
        service_tier="flex",
        error="api_error",
        estimated=True,
        disconnected=True,
        user_id="u",
        team_id="t",
        place="west",
        upstream_request_id="aws-1",
    )

    async def story():
        async with opened() as store:
            await store.usage.append(batch(full, a_record("2")))
            assert await store.usage.records() == [full, a_record("2")]

    asyncio.run(story())


INTEGERS = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cache_creation_5m_input_tokens",
    "cache_creation_1h_input_tokens",
    "latency_ms",
    "ttft_ms",
    "cost_nano",
    "web_search_requests",
    "web_fetch_requests",
    "code_execution_requests",
)


def test_nothing_and_zero_are_told_apart_whatever_else_is_in_the_batch(opened):
    """Records that tell of a kind, that do not, and both in one batch, in every order."""
    told = {"ttft_ms": 0, "cost_nano": 0, "stream": True, "service_tier": "", "place": "p"}

    async def story():
        async with opened() as store:
            kinds = [{}, told, {"error": "api_error", "user_id": "u"}]
            written = []
            for batches in ([0, 0], [1, 1], [0, 1], [1, 0, 2], [2], [0] * 3):
                records = [
                    a_record(f"{len(written) + n:02}", **kinds[k]) for n, k in enumerate(batches)
                ]
                await store.usage.append(batch(*records))
                written += records
            assert await store.usage.records() == written

    asyncio.run(story())


def test_records_are_paged_by_id(opened):
    records = [
        a_record(f"{n:02}", at_ms=NOVEMBER_30 + n * DAY_MS // 4, key_id=f"key_{n % 2}")
        for n in range(20)
    ]

    async def story():
        async with opened() as store:
            for start in range(0, 20, 5):
                await store.usage.append(batch(*records[start : start + 5]))
            usage = store.usage
            assert await usage.records() == records
            seen = []
            while page := await usage.records(after=seen[-1].id if seen else None, limit=7):
                assert len(page) <= 7
                seen += page
            assert seen == records
            middle = {"since_ms": records[4].at_ms, "until_ms": records[9].at_ms}
            assert await usage.records(**middle) == records[4:9]
            assert await usage.records(**middle, key_id="key_1") == records[5:9:2]
            assert await usage.records(**middle, key_id="key_1", limit=1) == [records[5]]
            assert await usage.records(**middle, key_id="key_1", after="05") == [records[7]]
            assert await usage.records(key_id="key_7") == []
            assert await usage.records(after="19") == []

    asyncio.run(story())


def test_expired_records_leave_their_sums(opened):
    records = [a_record(f"{n:02}", at_ms=n * DAY_MS, cost_nano=1) for n in range(10)]

    async def story():
        async with opened() as store:
            await store.usage.append(batch(*records))
            before = await store.usage.totals(by=("day",)), await standings(store)
            expired = await store.usage.expire(4 * DAY_MS)
            assert expired in {0, 4}
            assert await store.usage.records() == records[expired:]
            assert (await store.usage.totals(by=("day",)), await standings(store)) == before
            assert await store.usage.expire(4 * DAY_MS) == 0

    asyncio.run(story())


def test_a_number_no_column_can_hold_is_refused_when_it_is_read():
    line = msgspec.json.encode(a_record("1", input_tokens=2**63))
    with pytest.raises(msgspec.ValidationError, match="input_tokens"):
        msgspec.json.decode(line, type=UsageRecord)
