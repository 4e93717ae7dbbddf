"""What holds for a request: the operator's terms, with the key's own on top."""

from __future__ import annotations

import msgspec

from ..protocol.request.policy import Terms
from ..store.records import Caller


def terms_for(terms: Terms, caller: Caller | None) -> Terms:
    """The operator's own object for a key that asks for nothing special."""
    if caller is None:
        return terms
    key = caller.key
    if key.service_tier is None and key.cache_ttl is None:
        return terms
    return msgspec.structs.replace(
        terms,
        service_tier=key.service_tier or terms.service_tier,
        cache_ttl=key.cache_ttl or terms.cache_ttl,
    )
