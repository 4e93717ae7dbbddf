"""Status lines with their reason phrases (RFC 9110 15).

`http.HTTPStatus` has the phrases too, and costs the start 2 ms.
"""

from __future__ import annotations

from typing import Final

_PHRASES: Final = {
    200: b"OK",
    201: b"Created",
    202: b"Accepted",
    204: b"No Content",
    304: b"Not Modified",
    400: b"Bad Request",
    401: b"Unauthorized",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    408: b"Request Timeout",
    409: b"Conflict",
    413: b"Content Too Large",
    414: b"URI Too Long",
    417: b"Expectation Failed",
    422: b"Unprocessable Content",
    424: b"Failed Dependency",
    429: b"Too Many Requests",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    501: b"Not Implemented",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
    504: b"Gateway Timeout",
    505: b"HTTP Version Not Supported",
    529: b"Overloaded",
}
_LINES: Final = {
    status: b"HTTP/1.1 %d %b\r\n" % (status, phrase) for status, phrase in _PHRASES.items()
}


def status_line(status: int) -> bytes:
    """Returns the first line of an answer; a status that has no phrase here goes without."""
    return _LINES.get(status) or b"HTTP/1.1 %d \r\n" % status
