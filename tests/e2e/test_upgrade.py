"""Data of version 0.1.0 under today's proxy: nothing is lost, nothing is counted twice."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import time
import urllib.request
from collections import Counter
from contextlib import closing, nullcontext
from pathlib import Path

import anthropic
import dynamo_servers
import msgspec
import pytest
from servers import MASTER_KEY, command, proxy_environment, start_proxy, wait_for

from anthropic_bedrock_proxy.store.base.errors import StoreError
from anthropic_bedrock_proxy.store.dynamodb.schema import create_tables
from anthropic_bedrock_proxy.store.sqlite.schema import SQL, connect, migrate

DATA = Path(__file__).parents[1] / "store" / "data_0_1_0"
OWNERS = {"key": "key_id", "user": "user_id", "team": "team_id", "model": "model"}
STORES = ("sqlite", "dynamodb")


class OldData:
    """A copy of what 0.1.0 left, and what its commands had told of it."""

    def __init__(self, kind, folder):
        shutil.copytree(DATA / kind, folder)
        self.folder = folder
        self.told = json.loads((folder / "told.json").read_text())
        self.secrets = self.told["secrets"]
        lines = [
            json.loads(line)
            for path in (folder / "journal").iterdir()
            for line in path.read_text().splitlines()
        ]
        known = {record["id"] for record in self.told["records"]}
        self.undelivered = [record for record in lines if record["id"] not in known]
        self.delivered = [record for record in lines if record["id"] in known]
        self.settings = {
            "JOURNAL_DIR": str(folder / "journal"),
            "JOURNAL_INTERVAL": "0.05",
            "USAGE_TTL_DAYS": "36500",
            "PROVIDER_KEY_ENCRYPTION_SECRET": "encryption-of-the-data",
            "STORE_URL": f"sqlite:///{folder}/proxy.db",
        }
        if kind == "dynamodb":
            self.settings |= _tables(json.loads((folder / "tables.json").read_text()))

    def expected(self, by):
        """(requests, nano-dollars) of each key, user, team or model, the undelivered included."""
        requests, nano = Counter(), Counter()
        for row in self.told["usage"][by]["rows"]:
            requests[row[OWNERS[by]]] = row["requests"]
            nano[row[OWNERS[by]]] = in_nano(row["cost_usd"])
        for record in self.undelivered:
            name = record.get(OWNERS[by]) or None
            requests[name] += 1
            nano[name] += record["cost_nano"]
        return {name: (count, nano[name]) for name, count in requests.items()}

    def expected_spent(self, owner):
        """Nano-dollars by period, the undelivered included."""
        history = self.told["budgets"][owner]["history"]
        nano = Counter({one["period"]: in_nano(one["spent_usd"]) for one in history})
        kind, identifier = owner.split()
        for record in self.undelivered:
            if record.get(OWNERS[kind]) == identifier:
                day = time.strftime("%Y-%m-%d", time.gmtime(record["at_ms"] / 1000))
                nano.update(dict.fromkeys((day[:7], day, "total"), record["cost_nano"]))
        return nano


def in_nano(usd):
    return round((usd or 0) * 10**9)


def _tables(items):
    """Tables with these items in dynalite; the settings that name them."""
    url, names = dynamo_servers.server("dynalite"), dynamo_servers.fresh_names()
    by_kind = msgspec.structs.asdict(names)

    async def fill():
        client = dynamo_servers.client(url)
        try:
            await create_tables(client, names)
            for kind, of_kind in items.items():
                for item in of_kind:
                    await client.call("PutItem", {"TableName": by_kind[kind], "Item": item})
        finally:
            await client.close()

    asyncio.run(fill())
    named = {f"DYNAMODB_{kind.upper()}_TABLE": name for kind, name in by_kind.items()}
    return {"STORE_URL": "dynamodb://", "DYNAMODB_ENDPOINT_URL": url, **named}


@pytest.fixture(params=STORES)
def old(request, tmp_path):
    return OldData(request.param, tmp_path / "old")


def is_in(before, after):
    """Whether `after` says all that `before` said; it may say more."""
    if isinstance(before, dict):
        return all(name in after and is_in(value, after[name]) for name, value in before.items())
    if isinstance(before, list):
        return len(before) == len(after) and all(map(is_in, before, after))
    return before == after


def read(proxy, path):
    """A document of the admin API."""
    headers = {"x-api-key": MASTER_KEY}
    request = urllib.request.Request(f"{proxy.url}/admin/api/{path}", headers=headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def sums(proxy, by):
    rows = read(proxy, f"usage?by={by}")["rows"]
    return {row[OWNERS[by]]: (row["requests"], in_nano(row["cost_usd"])) for row in rows}


def spent(proxy, owner):
    history = read(proxy, f"budgets/{owner.replace(' ', '/')}/history")["history"]
    return {one["period"]: in_nano(one["spent_usd"]) for one in history}


def ask(proxy, secret, model="claude-haiku-4-5"):
    """200, or the status and the error code."""
    with anthropic.Anthropic(base_url=proxy.url, api_key=secret, max_retries=0) as client:
        try:
            messages = [{"role": "user", "content": "Hello"}]
            client.messages.create(model=model, max_tokens=100, messages=messages)
        except anthropic.APIStatusError as error:
            return error.status_code, error.body["error"].get("details", {}).get("error_code")
    return 200


def test_what_was_not_delivered_is_counted_once(old, simulator, tmp_path):
    assert old.undelivered
    assert old.delivered
    journal = old.folder / "journal"
    for _ in range(2):  # a second start finds nothing to deliver
        with start_proxy(tmp_path / "new", simulator, make_key=False, **old.settings) as proxy:
            wait_for(lambda: not list(journal.iterdir()), "the journal is delivered")
            for by in OWNERS:
                assert sums(proxy, by) == old.expected(by)
            for owner in old.told["budgets"]:
                assert spent(proxy, owner) == old.expected_spent(owner)


def test_keys_and_what_operators_had_set_work(old, simulator, tmp_path):
    told = old.told
    for path in (old.folder / "journal").iterdir():
        path.unlink()  # what it holds is another test's
    with start_proxy(tmp_path / "new", simulator, make_key=False, **old.settings) as proxy:
        for kind in ("users", "teams", "keys"):
            assert is_in(told[kind], read(proxy, kind)[kind])
        assert is_in(told["overrides"], read(proxy, "betas"))
        assert is_in(told["providers"], read(proxy, "providers"))
        prices = read(proxy, "prices")["prices"]
        assert is_in(told["prices"], [one for one in prices if one["source"] == "store"])
        audit = [
            [one["id"], one["action"], one["object"]] for one in read(proxy, "audit")["records"]
        ]
        assert audit == told["audit"]
        for owner, history in told["budgets"].items():
            assert is_in(history, read(proxy, f"budgets/{owner.replace(' ', '/')}/history"))
        for name in ("plain", "owned", "limited", "narrow", "rotated"):
            assert ask(proxy, old.secrets[name]) == 200
        assert ask(proxy, old.secrets["plain"], "fast") == 200
        assert ask(proxy, old.secrets["narrow"], "claude-sonnet-4-6")[0] == 400
        assert ask(proxy, old.secrets["spent"]) == (403, "budget_exceeded")
        assert ask(proxy, old.secrets["office"])[0] == 403
        assert ask(proxy, old.secrets["revoked"])[0] == 403


def test_tables_are_made_and_migrated(tmp_path):
    old = OldData("dynamodb", tmp_path / "old")
    environment = proxy_environment(old.folder, "http://127.0.0.1:9", old.settings)
    assert command(old.folder, environment, "tables", "create")["created"] == []
    assert command(old.folder, environment, "tables", "migrate", "--yes")["keys"] == 0
    assert is_in(old.told["keys"], command(old.folder, environment, "keys", "list")["keys"])


def test_the_file_goes_back_by_a_backup_alone(tmp_path):
    """0.1.0 refuses the file once it was migrated: it has the same check, and three migrations."""
    old = OldData("sqlite", tmp_path / "old")
    path, backup, known = old.folder / "proxy.db", tmp_path / "backup.db", tmp_path / "migrations"
    known.mkdir()
    for migration in sorted((SQL / "migrations").iterdir())[:3]:
        shutil.copy(migration, known)
    with closing(sqlite3.connect(path)) as connection, closing(sqlite3.connect(backup)) as copy:
        connection.backup(copy)
    connect(path, 1)[0].close()
    for file, refusal in ((path, "newer version.*restore a backup"), (backup, None)):
        with closing(sqlite3.connect(file, isolation_level=None)) as connection:
            connection.row_factory = sqlite3.Row
            with pytest.raises(StoreError, match=refusal) if refusal else nullcontext():
                migrate(connection, known)
