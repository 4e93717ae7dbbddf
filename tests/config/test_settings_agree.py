"""Settings and what they are for do not import each other: where both say one thing, they agree."""

from __future__ import annotations

from anthropic_bedrock_proxy.config import rules
from anthropic_bedrock_proxy.config.settings import Settings
from anthropic_bedrock_proxy.gateway.admission.authenticator import KeyOptions
from anthropic_bedrock_proxy.limits import select
from anthropic_bedrock_proxy.store.dynamodb.tables import TableNames


def test_both_describe_the_same_urls_of_limiters():
    assert select.ALLOWED.casefold() == rules.LIMITS.allowed.casefold()


def test_the_tables_have_the_names_of_the_settings():
    tables = Settings().tables
    names = TableNames()
    assert {name: getattr(tables, name) for name in TableNames.__struct_fields__} == {
        name: getattr(names, name) for name in TableNames.__struct_fields__
    }


def test_keys_are_looked_for_where_the_settings_say():
    auth, keys = Settings().auth, KeyOptions()
    assert (auth.api_key_header, auth.key_cache_ttl_seconds) == (keys.header, keys.ttl_seconds)
