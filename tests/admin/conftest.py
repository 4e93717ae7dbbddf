"""The admin API as clients reach it: over a connection and a store, both in memory."""

from __future__ import annotations

import asyncio
import logging

import pytest
from factories import make_application, make_authentication
from http_client import Client

from anthropic_bedrock_proxy.app.admin import build_admin
from anthropic_bedrock_proxy.config import load_settings
from anthropic_bedrock_proxy.gateway.admission.authenticator import KeyOptions
from anthropic_bedrock_proxy.store.base.callers import KeyRecord
from anthropic_bedrock_proxy.store.memory.store import MemoryStore
from anthropic_bedrock_proxy.store.secrets import hash_secret

MASTER_SECRET = "sk-master-of-the-tests"
ENVIRONMENT = {
    "AWS_REGION": "us-east-1",
    "PROVIDER_KEY_ENCRYPTION_SECRET": "a long random text",
}


class Site:
    """A store, the API over it, and its clients."""

    def __init__(self, *, require_api_key: bool = True) -> None:
        self.store = MemoryStore()
        authentication, fresh = (
            make_authentication(
                self.store,
                KeyOptions(
                    master_api_key=MASTER_SECRET,
                    require_api_key=require_api_key,
                    ttl_seconds=ttl_seconds,
                ),
            )
            for ttl_seconds in (60.0, 0.0)
        )
        settings = load_settings(None, environ=ENVIRONMENT, env_file=None)
        self.logged = []
        self.app = make_application(
            authentication,
            build_admin=lambda: build_admin(settings, self.store),
            admin_authentication=fresh,
            observers=[lambda _, exchange: self.logged.append(exchange)],
        )

    def send(self, method, path, body=None, *, secret=MASTER_SECRET, headers=None):
        headers = dict(headers or {})
        if secret is not None:
            headers["x-api-key"] = secret
        client = Client(
            self.app,
            method,
            f"/admin/api/{path}",
            headers=headers,
            body=b"" if body is None else body,
        )
        return asyncio.run(client.send())

    def key(self, secret, *, scopes=(), **fields):
        """A key that is in the store already."""
        identity = f"key_{secret}"
        record = KeyRecord(
            id=identity,
            name=secret,
            secret_hint="sk-...",
            created_at=1,
            updated_at=1,
            admin_scopes=tuple(scopes),
            **fields,
        )
        asyncio.run(self.store.keys.create(record, hash_secret(secret)))
        return identity

    def audit(self):
        return asyncio.run(self.store.audit.list(limit=1000))


@pytest.fixture
def site():
    return Site()


@pytest.fixture
def make_site():
    return Site


@pytest.fixture(autouse=True)
def everything_is_logged(caplog):
    caplog.set_level(logging.DEBUG)
