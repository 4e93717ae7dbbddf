"""The one spelling of hosts, paths and queries, for whoever judges, compares or sends them. Pure.

What is judged in one spelling and fetched in another would be judged for nothing.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final
from urllib.parse import quote

DEFAULT_PORTS: Final = {"https": 443, "http": 80}
_KEPT: Final = "/?:@!$&'()*+,;=~%"  # beside letters and digits
_MAX_HOST: Final = 253
_MAX_LABEL: Final = 63
_DOTS: Final = re.compile("[.\u3002\uff0e\uff61]")  # all of them separate labels (IDNA 3.1)


@lru_cache(maxsize=1024)  # the same few hosts come again and again
def ascii_host(host: str) -> str:
    """Returns a host as DNS has it, in lower case and without the dot of the root.

    Raises `UnicodeError` for what can be no name.
    """
    host = host.lower()
    if not host.isascii():
        # The codec takes quadratic time for a label before it finds that it is too long.
        if len(host) > _MAX_HOST or max(map(len, _DOTS.split(host))) > _MAX_LABEL:
            raise UnicodeError("too long")
        host = host.encode("idna").decode()
    host = host.removesuffix(".")
    if not 0 < len(host) <= _MAX_HOST:
        raise UnicodeError("too long, or empty")
    return host


def percent_encoded(target: str) -> str:
    """Returns a path, perhaps with a query, as it is sent. Raises `UnicodeError`."""
    return quote(target, safe=_KEPT)
