"""Budgets in every store."""

from __future__ import annotations

import asyncio

from store_rows import DAY_MS, NOVEMBER_30, a_record, batch, standings

from anthropic_bedrock_proxy.store.base.ledger import Account, Standing

MONTH = Account("key:key_1", "2026-11")


def borrowing(store, amount, *, holder="w", budget=100, now=0, until=60, account=MONTH):
    return store.ledger.borrow(
        account, holder=holder, amount_nano=amount, budget_nano=budget, now=now, until=until
    )


def test_what_is_borrowed_never_exceeds_the_budget(opened):
    async def story():
        async with opened() as store:
            assert await standings(store) == []
            assert await borrowing(store, 60) == (60, Standing(MONTH, 0, 60))
            assert await borrowing(store, 30) == (30, Standing(MONTH, 0, 90)), "it adds up"
            assert await borrowing(store, 30, holder="v") == (10, Standing(MONTH, 0, 100))
            assert await borrowing(store, 1, holder="v") == (0, Standing(MONTH, 0, 100))
            assert await borrowing(store, 1, budget=50) == (0, Standing(MONTH, 0, 100)), "lowered"
            assert await borrowing(store, 5, budget=104) == (4, Standing(MONTH, 0, 104)), "raised"
            assert await borrowing(store, 0, budget=500) == (0, Standing(MONTH, 0, 104))
            assert await standings(store) == [Standing(MONTH, 0, 104)]
            assert await standings(store, "key:key_2") == []

    asyncio.run(story())


def test_many_that_borrow_at_once_never_exceed_the_budget(opened):
    async def story():
        async with opened() as store:
            answers = await asyncio.gather(
                *(borrowing(store, 7, holder=f"w{n % 5}", budget=100) for n in range(30))
            )
            assert sum(granted for granted, _ in answers) == 100
            assert max(standing.held_nano for _, standing in answers) == 100
            assert await standings(store) == [Standing(MONTH, 0, 100)]

    asyncio.run(story())


def test_what_is_given_back_can_be_borrowed_again(opened):
    async def story():
        async with opened() as store:
            ledger = store.ledger
            await borrowing(store, 60)
            await borrowing(store, 40, holder="v")
            await ledger.give_back(MONTH, holder="w", amount_nano=20)
            assert await borrowing(store, 50, holder="v") == (20, Standing(MONTH, 0, 100))
            await ledger.give_back(MONTH, holder="w", amount_nano=1000)
            assert await standings(store) == [Standing(MONTH, 0, 60)], "never below nothing"
            await ledger.give_back(MONTH, holder="nobody", amount_nano=10)
            await ledger.give_back(Account("key:9", "total"), holder="w", amount_nano=10)
            assert await standings(store) == [Standing(MONTH, 0, 60)]

    asyncio.run(story())


def test_what_was_spent_beyond_a_hold_is_held_too(opened):
    async def story():
        async with opened() as store:
            await borrowing(store, 60)
            await store.ledger.give_back(MONTH, holder="w", amount_nano=-30)
            assert await standings(store) == [Standing(MONTH, 0, 90)]
            assert await borrowing(store, 100, holder="v") == (10, Standing(MONTH, 0, 100))

    asyncio.run(story())


def test_a_hold_lapses_unless_it_is_renewed(opened):
    async def story():
        async with opened() as store:
            ledger = store.ledger
            await borrowing(store, 60, until=60)
            await borrowing(store, 40, holder="v", until=60)
            await ledger.renew([MONTH, Account("key:9", "total")], holder="v", until=120)
            assert await standings(store, now=59) == [Standing(MONTH, 0, 100)]
            (standing,) = await standings(store, now=60)
            assert standing.held_nano == 40
            granted, standing = await borrowing(store, 100, holder="x", now=60, until=200)
            assert (granted, standing) == (60, Standing(MONTH, 0, 100))
            await ledger.renew([MONTH], holder="w", until=300)
            (standing,) = await standings(store, now=60)
            assert standing.held_nano == 100, "what lapsed and was lent to another is gone"
            (standing,) = await standings(store, now=120)
            assert standing.held_nano == 60

    asyncio.run(story())


def test_borrowing_again_keeps_all_of_the_hold(opened):
    async def story():
        async with opened() as store:
            await borrowing(store, 10, until=60)
            await borrowing(store, 10, now=30, until=90)
            (standing,) = await standings(store, now=89)
            assert standing.held_nano == 20
            assert await borrowing(store, 10, now=90, until=150) == (10, Standing(MONTH, 0, 10))

    asyncio.run(story())


def test_a_hold_is_set_whatever_it_was(opened):
    async def story():
        async with opened() as store:
            ledger = store.ledger
            total = Account("key:key_1", "total")
            await borrowing(store, 60)
            await ledger.hold({MONTH: 25, total: 7}, holder="w", until=500)
            assert await standings(store, now=499) == [
                Standing(MONTH, 0, 25),
                Standing(total, 0, 7),
            ]
            assert all(s.held_nano == 0 for s in await standings(store, now=500))
            await ledger.hold({MONTH: 0, total: 0}, holder="w", until=500)
            await ledger.hold({MONTH: 0}, holder="nobody", until=500)
            assert all(s.held_nano == 0 for s in await standings(store))
            assert await borrowing(store, 100, holder="v") == (100, Standing(MONTH, 0, 100))
            await ledger.hold({MONTH: 30}, holder="w", until=60)
            (month, *_) = await standings(store)
            assert month == Standing(MONTH, 0, 130), "spent is spent, whatever is left"
            assert (await borrowing(store, 1, holder="v"))[0] == 0

    asyncio.run(story())


def test_what_had_lapsed_is_held_again_and_left_by_what_is_spent(opened):
    async def story():
        async with opened() as store:
            await borrowing(store, 60, until=60)
            assert (await borrowing(store, 10, holder="v", now=60, until=999))[0] == 10
            await store.ledger.hold({MONTH: 50}, holder="w", until=999)
            granted, standing = await borrowing(store, 100, now=61, until=90)
            assert (granted, standing) == (40, Standing(MONTH, 0, 100))
            await store.ledger.hold({MONTH: 50}, holder="w", until=90)
            (standing,) = await standings(store, now=90)
            assert standing.held_nano == 10, "it may also lapse earlier than before"
            await store.usage.append(batch(a_record("1", at_ms=NOVEMBER_30, cost_nano=50)))
            (standing, *_) = await standings(store)
            assert standing == Standing(MONTH, 50, 10)

    asyncio.run(story())


def test_usage_is_spent_from_every_account_and_leaves_the_hold_of_its_writer(opened):
    day = Account("key:key_1", "2026-11-30")
    fields = {"at_ms": NOVEMBER_30, "user_id": "u", "team_id": "t"}

    async def story():
        async with opened() as store:
            await borrowing(store, 60)
            await borrowing(store, 30, holder="v")
            await borrowing(store, 5, account=day)
            first = batch(a_record("1", cost_nano=25, **fields), a_record("2", **fields))
            for _ in range(2):
                await store.usage.append(first)
            assert await standings(store) == [
                Standing(MONTH, 25, 65),
                Standing(day, 25, 0),
                Standing(Account("key:key_1", "total"), 25, 0),
            ]
            for owner in ("user:u", "team:t"):
                periods = ("2026-11", "2026-11-30", "total")
                expected = [Standing(Account(owner, period), 25, 0) for period in periods]
                assert await standings(store, owner) == expected
            # Spent and held leave less to borrow, whoever asks.
            assert await borrowing(store, 50, holder="x") == (10, Standing(MONTH, 25, 75))
            await store.usage.append(batch(a_record("3", cost_nano=500, **fields), writer="v"))
            (month, *_) = await standings(store)
            assert month == Standing(MONTH, 525, 45), "more than was held: only that is let go"
            assert await borrowing(store, 50, holder="x") == (0, Standing(MONTH, 525, 45))

    asyncio.run(story())


def test_months_and_days_are_accounts_of_their_own(opened):
    december = NOVEMBER_30 + DAY_MS

    async def story():
        async with opened() as store:
            await store.usage.append(
                batch(
                    a_record("1", at_ms=NOVEMBER_30 - 1, cost_nano=1),
                    a_record("2", at_ms=december - 1, cost_nano=2),
                    a_record("3", at_ms=december, cost_nano=4),
                )
            )
            assert [(s.account.period, s.spent_nano) for s in await standings(store)] == [
                ("2026-11", 3),
                ("2026-11-29", 1),
                ("2026-11-30", 2),
                ("2026-12", 4),
                ("2026-12-01", 4),
                ("total", 7),
            ]
            granted, _ = await borrowing(store, 100, account=Account("key:key_1", "2026-12"))
            assert granted == 96

    asyncio.run(story())


def test_what_has_no_price_is_spent_from_no_account(opened):
    async def story():
        async with opened() as store:
            await store.usage.append(batch(a_record("1"), a_record("2", user_id="u")))
            assert await standings(store) == []
            assert await standings(store, "user:u") == []

    asyncio.run(story())


def test_what_was_spent_elsewhere_is_imported_once(opened):
    total = Account("key:key_1", "total")

    async def story():
        async with opened() as store:
            ledger = store.ledger
            assert await ledger.import_spent(total, 70)
            assert not await ledger.import_spent(total, 70)
            assert await standings(store) == [Standing(total, 70, 0)]
            assert (await borrowing(store, 100, account=total))[0] == 30
            await store.usage.append(batch(a_record("1", cost_nano=5)))
            assert not await ledger.import_spent(Account("key:key_1", "1970-01"), 9)
            spent = {s.account.period: s.spent_nano for s in await standings(store)}
            assert spent == {"1970-01": 5, "1970-01-01": 5, "total": 75}

    asyncio.run(story())
