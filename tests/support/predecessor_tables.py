"""The predecessor's nine tables as they are after a while of use: keys in every state, two of them
with rows in use, rows of a deleted key and of the master key.
"""

from __future__ import annotations

import json
from decimal import Decimal

from anthropic_bedrock_proxy.aws.dynamodb import DynamoDB
from anthropic_bedrock_proxy.aws.dynamodb_values import from_item, to_item
from anthropic_bedrock_proxy.store.dynamodb.schema import SHAPES
from anthropic_bedrock_proxy.store.dynamodb.tables import TableNames

NOVEMBER_23 = 1_795_392_000  # 2026-11-23T00:00Z
MONTH = "2026-11"

PLAIN = "sk-" + "0" * 31 + "1"  # in use, with a budget and a history
LIMITED = "sk-" + "0" * 31 + "2"  # with limits of its own
SPENT = "sk-" + "0" * 31 + "3"  # over its budget this month
OLD_SPENT = "sk-" + "0" * 31 + "4"  # over its budget in an earlier month
REVOKED = "sk-" + "0" * 31 + "5"
BARE = "sk-" + "0" * 31 + "6"  # as the script creates it
DELETED = "sk-" + "0" * 31 + "7"  # only its usage is left
MASTER = "sk-master-of-the-predecessor"
KEYS = (PLAIN, LIMITED, SPENT, OLD_SPENT, REVOKED, BARE)
SECRETS = (*KEYS, DELETED, MASTER)


def _key(secret: str, **fields):
    return {
        "api_key": secret,
        "user_id": f"user-{secret[-1]}",
        "name": f"key {secret[-1]}",
        "created_at": 1_760_000_000 + int(secret[-1]),
        "is_active": True,
        "rate_limit": 1000,
        "service_tier": "default",
        "metadata": {},
        "tpm_limit": 100_000,
        **fields,
    }


API_KEYS = [
    _key(
        PLAIN,
        owner_name="Ada",
        role="Full Access",
        monthly_budget=Decimal("50.00"),
        budget_used=Decimal("44.44"),
        budget_used_mtd=Decimal("12.33"),
        budget_mtd_month=MONTH,
        budget_history=json.dumps({"2026-09": 0, "2026-10": 32.11}),
        cache_ttl="1h",
        routing_strategy="off",
        compression_strategy="off",
        updated_at=1_795_000_000,
    ),
    _key(LIMITED, rate_limit=7, tpm_limit=5000, service_tier="flex", monthly_budget=0),
    _key(
        SPENT,
        is_active=False,
        deactivated_reason="budget_exceeded",
        monthly_budget=10,
        budget_used=Decimal("10.5"),
        budget_used_mtd=Decimal("10.5"),
        budget_mtd_month=MONTH,
    ),
    _key(
        OLD_SPENT,
        is_active=False,
        deactivated_reason="budget_exceeded",
        monthly_budget=10,
        budget_used=11,
        budget_used_mtd=11,
        budget_mtd_month="2026-10",
    ),
    _key(REVOKED, is_active=False, deactivated_reason="left the company"),
    _key(BARE),
]


def _row(secret: str, second: int, **fields):
    return {
        "api_key": secret,
        "timestamp": str((NOVEMBER_23 + second) * 1000),
        "request_id": f"msg-{secret[-4:]}-{second}",
        "model": "claude-sonnet-4-6",
        "input_tokens": 100,
        "output_tokens": 10,
        "cached_tokens": 3,
        "cache_write_input_tokens": 5,
        "total_tokens": 118,
        "success": True,
        "metadata": {"stream": True},
        "ttl": NOVEMBER_23 + 7 * 86_400,
        **fields,
    }


USAGE = [
    *(_row(PLAIN, second, cache_ttl="1h") for second in range(12)),
    _row(PLAIN, 86_400),
    _row(LIMITED, 5, success=False, error_message="ThrottlingException", model="nova"),
    _row(DELETED, 9, error_message=f"no such key {DELETED}", success=False),
    *(_row(MASTER, second) for second in range(3)),
]
USAGE_STATS = [
    {
        "api_key": secret,
        "total_input_tokens": 1000,
        "total_output_tokens": 100,
        "total_cached_tokens": 0,
        "total_cache_write_tokens": 0,
        "total_requests": 10,
        "last_aggregated_timestamp": str(NOVEMBER_23 * 1000),
        "last_updated": NOVEMBER_23,
    }
    for secret in (PLAIN, SPENT, DELETED)
]
MODEL_MAPPING = [
    {
        "anthropic_model_id": "fast",
        "bedrock_model_id": "us.anthropic.claude-haiku-4-5-20251001-v1:0",
        "updated_at": "2026-01-05T10:00:00",
    }
]


def _price(model_id: str, prices: str, **fields):
    kinds = ("input_price", "output_price", "cache_read_price", "cache_write_price")
    return {
        "model_id": model_id,
        "provider": "Anthropic",
        "display_name": model_id,
        **dict(zip(kinds, map(Decimal, prices.split()), strict=True)),
        "status": "active",
        "created_at": 1,
        "updated_at": 2,
        **fields,
    }


MODEL_PRICING = [
    _price("global.anthropic.claude-sonnet-4-6", "3 15 0.30 3.75"),
    _price("minimax.minimax-m2", "0.15 0.60 0 0"),
    _price("us.anthropic.claude-old", "1 2 3 4", status="deprecated"),
    _price("us.anthropic.claude-off", "1 2 3 4", status="disabled"),
]
PROVIDER_KEYS = [
    {
        "key_id": "7b0e",
        "provider": "openai",
        "encrypted_api_key": "gAAAAA",
        "models": ["gpt"],
        "is_enabled": True,
        "status": "available",
        "created_at": "2026-01-05T10:00:00",
    }
]
ITEMS = {
    "api_keys": API_KEYS,
    "usage": USAGE,
    "usage_stats": USAGE_STATS,
    "model_mapping": MODEL_MAPPING,
    "model_pricing": MODEL_PRICING,
    "provider_keys": PROVIDER_KEYS,
    "routing_rules": [{"rule_id": "r", "rule_type": "keyword", "pattern": "a", "priority": 1}],
    "failover_chains": [{"source_model": "a", "targets": [{"provider": "p", "model": "m"}]}],
    "smart_routing_config": [{"config_id": "global", "threshold": Decimal("0.5")}],
}


async def fill(client: DynamoDB, names: TableNames) -> None:
    """Puts all of it into tables that are there."""
    for kind, items in ITEMS.items():
        puts = [{"PutRequest": {"Item": to_item(item)}} for item in items]
        request = {"RequestItems": {getattr(names, kind): puts}}
        assert not (await client.call("BatchWriteItem", request)).get("UnprocessedItems")


async def everything(client: DynamoDB, names: TableNames) -> dict[str, list]:
    """Every item of every table, by the kind of the table; in a fixed order."""
    found: dict[str, list] = {}
    for kind, shape in SHAPES.items():
        answer = await client.call("Scan", {"TableName": getattr(names, kind)})
        assert "LastEvaluatedKey" not in answer
        items = map(from_item, answer["Items"])
        keys = [name for name in (shape.hash, shape.range) if name]
        found[kind] = sorted(items, key=lambda item: [item[name] for name in keys])
    return found
