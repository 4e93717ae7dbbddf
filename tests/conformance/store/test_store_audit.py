"""The audit log in every store."""

from __future__ import annotations

import asyncio

from store_rows import a_change


def test_the_audit_log_is_read_from_its_end(opened):
    full = a_change("3", object="key_2", before={"a": [1, None]}, after={"b": {"c": "d"}})

    async def story():
        async with opened() as store:
            audit = store.audit
            assert await audit.list() == []
            for record in (a_change("1"), a_change("2"), full, a_change("4"), a_change("2")):
                await audit.append(record)
            assert [record.id for record in await audit.list()] == ["4", "3", "2", "1"]
            assert (await audit.list())[1] == full
            assert [record.id for record in await audit.list(limit=2)] == ["4", "3"]
            assert [record.id for record in await audit.list(before="3", limit=1)] == ["2"]
            assert await audit.list(before="1") == []
            assert await audit.list(object_id="key_2") == [full]
            page = await audit.list(object_id="key_1", before="4", limit=1)
            assert [record.id for record in page] == ["2"]
            assert await audit.list(object_id="key_9") == []

    asyncio.run(story())
