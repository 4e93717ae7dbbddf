"""Whether the books of a soak are exact, from the store itself once the proxy has stopped.

- Every answer that a client has read to its end has one row, whose tokens are those of the answer.
- Every request that reached the upstream has a row; a row more only has who left before his did.
- No row carries an error: the upstream never fails.
- The sums by day and the account of the key's budget are those of the rows.
"""

from __future__ import annotations

import http.client
import sqlite3
from contextlib import closing
from typing import Final

import msgspec

from . import work
from .proxy import Proxy
from .soak_clients import Soak
from .soak_upstream import Asked

_SUMS: Final = (
    (
        "requests by day",
        "SELECT sum(requests) FROM usage_daily",
        "SELECT count(*) FROM usage",
    ),
    (
        "output tokens by day",
        "SELECT sum(output_tokens) FROM usage_daily",
        "SELECT sum(output_tokens) FROM usage",
    ),
    (
        "the account of the month",
        "SELECT sum(spent_nano) FROM accounts WHERE owner LIKE 'key:%' AND length(period) = 7",
        "SELECT sum(cost_nano) FROM usage",
    ),
)


def asked(port: int) -> Asked:
    """What the upstream was asked so far."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with closing(connection):
        connection.request("GET", "/control")
        return msgspec.json.decode(connection.getresponse().read(), type=Asked)


def problems(proxy: Proxy, soak: Soak, upstream: Asked) -> list[str]:
    """What is not exact. Prints what was compared."""
    found = []
    with closing(sqlite3.connect(proxy.database)) as store:
        rows = {
            row[0]: row[1:]
            for row in store.execute(
                "SELECT id, input_tokens, output_tokens, error, disconnected FROM usage"
            )
        }
        for name, left, right in _SUMS:
            one, other = store.execute(left).fetchone()[0], store.execute(right).fetchone()[0]
            if one != other:
                found.append(f"{name}: {one}, but {other} in the rows")
    missing = soak.finished.keys() - rows.keys()
    if missing:
        found.append(f"{len(missing)} answers that were read have no row, such as {min(missing)}")
    differ = [
        request_id
        for request_id, tokens in soak.finished.items()
        if request_id in rows and rows[request_id][:2] != (work.INPUT_TOKENS, tokens)
    ]
    if differ:
        found.append(
            f"{len(differ)} rows tell other tokens, such as {differ[0]}: {rows[differ[0]]}"
        )
    errors = [row for row in rows.values() if row[2] is not None]
    if errors:
        found.append(f"{len(errors)} rows carry an error, the first: {errors[0][2]}")
    left = sum(bool(row[3]) for row in rows.values())
    reached = upstream.answers + upstream.streams
    if not reached <= len(rows) <= reached + left:
        found.append(f"{len(rows)} rows for {reached} requests that reached the upstream")
    print(
        f"{len(rows)} rows, {reached} requests reached the upstream ({upstream.counts} counts "
        f"beside them), {len(soak.finished)} answers read to their end, {left} clients left early"
    )
    return found
