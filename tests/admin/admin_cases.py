"""One request for each operation that succeeds on the site that `prepare` made."""

from __future__ import annotations

import asyncio

from anthropic_bedrock_proxy.store.base.callers import OwnerRecord
from anthropic_bedrock_proxy.store.base.catalog import (
    CapabilityOverride,
    ModelMapping,
    PriceRecord,
    ProviderRecord,
)
from anthropic_bedrock_proxy.store.base.ledger import Account
from anthropic_bedrock_proxy.store.base.usage import UsageBatch, UsageRecord

HAIKU = "anthropic.claude-haiku-4-5-20251001-v1:0"
FLAG = "fast-mode-2026-02-01"
# Operation -> method, path and query, body.
CASES = {
    "keys.list": ("GET", "keys", None),
    "keys.create": ("POST", "keys", {"name": "new"}),
    "keys.get": ("GET", "keys/key_target", None),
    "keys.update": ("PATCH", "keys/key_target", {"rate_limit": 5}),
    "keys.revoke": ("POST", "keys/key_target/revoke", None),
    "keys.reactivate": ("POST", "keys/key_target/reactivate", None),
    "keys.rotate": ("POST", "keys/key_target/rotate", {"overlap_seconds": 60}),
    "users.list": ("GET", "users", None),
    "users.create": ("POST", "users", {"id": "ben"}),
    "users.get": ("GET", "users/ann", None),
    "users.update": ("PATCH", "users/ann", {"monthly_budget_usd": 3}),
    "users.remove": ("DELETE", "users/ann", None),
    "teams.list": ("GET", "teams", None),
    "teams.create": ("POST", "teams", {"id": "blue"}),
    "teams.get": ("GET", "teams/red", None),
    "teams.update": ("PATCH", "teams/red", {"is_active": False}),
    "teams.remove": ("DELETE", "teams/red", None),
    "usage.totals": ("GET", "usage?by=day,team", None),
    "usage.records": ("GET", "usage/records?format=csv", None),
    "requests.get": ("GET", "requests/req_019d2f3c41a0123456789ab1", None),
    "budgets.standing": ("GET", "budgets/key/key_target", None),
    "budgets.history": ("GET", "budgets/team/red/history", None),
    "prices.list": ("GET", "prices", None),
    "prices.set": ("PUT", "prices", {"model": HAIKU, "input_usd": 1, "output_usd": 5.5}),
    "prices.sync": (
        "PUT",
        "prices/synced",
        {"source": "list.json", "text": "model,place,input,output\nm.x,us,1,2\n"},
    ),
    "prices.remove": ("DELETE", f"prices?model=us.{HAIKU}&region=us-east-1", None),
    "models.list": ("GET", "models?all=true", None),
    "models.map": ("PUT", "models/mappings", {"alias": "fast", "bedrock_id": f"us.{HAIKU}"}),
    "models.unmap": ("DELETE", "models/mappings?alias=mapped", None),
    "models.sync_mappings": (
        "PUT",
        "models/mappings/synced",
        {"source": "names.json", "mappings": {"quick": HAIKU}},
    ),
    "models.sync": (
        "PUT",
        "models/offered",
        {"models": [{"id": HAIKU, "name": "Haiku", "provider": "Anthropic"}]},
    ),
    "betas.list": ("GET", "betas?model=claude-haiku-4-5", None),
    "betas.put": ("PUT", "betas", {"name": FLAG, "allowed": True}),
    "betas.forget": ("DELETE", f"betas?name={FLAG}", None),
    "providers.list": ("GET", "providers", None),
    "providers.add": (
        "POST",
        "providers",
        {"name": "east", "region": "us-east-2", "bearer_token": "very-secret-bearer-token"},
    ),
    "providers.remove": ("DELETE", "providers/west", None),
    "providers.enable": ("POST", "providers/west/enable", None),
    "providers.disable": ("POST", "providers/west/disable", None),
    "audit.list": ("GET", "audit?object=key_target", None),
}


def prepare(site) -> None:
    """Fills the store with what the requests above need."""
    site.key("target", rate_limit=1)

    async def fill():
        store = site.store
        await store.usage.append(
            UsageBatch(
                (
                    UsageRecord(
                        id="req_019d2f3c41a0123456789ab1",
                        key_id="key_target",
                        at_ms=0x019D2F3C41A,
                        model="m",
                        bedrock_model_id=HAIKU,
                        dialect="invoke",
                    ),
                ),
                "w",
                1,
            )
        )
        for kind, identity in (("user", "ann"), ("team", "red")):
            await store.owners.create(
                OwnerRecord(kind=kind, id=identity, name=identity, created_at=1, updated_at=1)
            )
        await store.ledger.import_spent(Account("team:red", "total"), 5)
        catalog = store.catalog
        await catalog.put_price(
            PriceRecord(
                model=f"us.{HAIKU}", region="us-east-1", updated_at=1, input_nano=1, output_nano=1
            )
        )
        await catalog.put_mapping(ModelMapping(alias="mapped", bedrock_id=HAIKU, updated_at=1))
        await catalog.put_override(
            CapabilityOverride(
                model="*", dialect="*", kind="beta", name=FLAG, allowed=False,
                source="learned", updated_at=1,
            )
        )  # fmt: skip
        await catalog.put_provider(
            ProviderRecord(
                name="west",
                region="us-west-2",
                created_at=1,
                updated_at=1,
                encrypted_credentials=b"sealed",
            )
        )

    asyncio.run(fill())
