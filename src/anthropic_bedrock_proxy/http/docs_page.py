"""GET /openapi.json and /docs: the API's description, for programs and in Swagger UI for people.

Both need no key and tell nothing that the source does not. Nothing is imported, made or read before
it is asked for. The page fetches nothing from elsewhere, and its policy would not let it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from ..errors import NotFoundError
from .application import HTTPRoute, Request
from .reply import Reply, header_lines

SWAGGER_UI: Final = "5.35.0"
_FOLDER: Final = Path(__file__).with_name("swagger_ui")
_FILES: Final = {
    "swagger-ui-bundle.js": b"text/javascript; charset=utf-8",
    "swagger-ui.css": b"text/css; charset=utf-8",
    "initializer.js": b"text/javascript; charset=utf-8",
}
# Styles that scripts set need no leave; images of the style sheet are data: URLs.
_POLICY: Final = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_NOSNIFF: Final = (b"x-content-type-options", b"nosniff")
_KEEP: Final = header_lines(((b"cache-control", b"public, max-age=31536000, immutable"), _NOSNIFF))
_ASK_AGAIN: Final = header_lines(((b"cache-control", b"no-cache"), _NOSNIFF))
_PAGE_LINES: Final = _ASK_AGAIN + header_lines(
    ((b"content-security-policy", _POLICY), (b"referrer-policy", b"no-referrer"))
)
_PAGE: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>anthropic-bedrock-proxy</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{docs}/swagger-ui.css?{version}">
</head>
<body>
<div id="swagger-ui" data-url="{openapi}"></div>
<script src="{docs}/swagger-ui-bundle.js?{version}"></script>
<script src="{docs}/initializer.js?{version}"></script>
</body>
</html>
"""


class DocsPage:
    """The description of the API, and the page that shows it."""

    def __init__(
        self,
        served: Iterable[HTTPRoute],
        *,
        openapi_path: str | None,
        docs_path: str | None,
        key_header: str,
    ) -> None:
        """`served` are the routes beside these; an empty path switches one off.

        The page shows the description, so without that there is none.
        """
        self._served = tuple(served)
        self._openapi_path = openapi_path or ""
        self._docs_path = docs_path if docs_path and openapi_path else ""
        self._key_header = key_header
        self._document: bytes | None = None

    def routes(self) -> Iterable[HTTPRoute]:
        """Returns the routes that are switched on."""
        routes = []
        if self._openapi_path:
            get = self.get_openapi
            routes.append(HTTPRoute(self._openapi_path, {"GET": get, "HEAD": get}))
        if self._docs_path:
            page, file = self.get_page, self.get_file
            routes.append(HTTPRoute(self._docs_path, {"GET": page, "HEAD": page}))
            routes.append(HTTPRoute(self._docs_path + "/{name}", {"GET": file, "HEAD": file}))
        return routes

    async def get_openapi(self, _: Request) -> Reply:
        """Returns this description, in OpenAPI 3.1."""
        if self._document is None:
            self._document = await asyncio.to_thread(self._make)
        return Reply(self._document, lines=_ASK_AGAIN)

    async def get_page(self, _: Request) -> Reply:
        """Returns the page that shows this description to people."""
        # Nothing to escape: the settings take letters, digits and few signs (config/rules.py).
        page = _PAGE.format(docs=self._docs_path, openapi=self._openapi_path, version=SWAGGER_UI)
        return Reply(page.encode(), lines=_PAGE_LINES, content_type=b"text/html; charset=utf-8")

    async def get_file(self, _: Request, *, name: str) -> Reply:
        """Returns a file of the page."""
        if name not in _FILES:
            raise NotFoundError("No such file of the page.")
        body = await asyncio.to_thread((_FOLDER / name).read_bytes)
        return Reply(body, lines=_KEEP, content_type=_FILES[name])

    def _make(self) -> bytes:
        from .openapi.document import make_document  # noqa: PLC0415  # most workers are never asked

        names = {
            self._openapi_path: "/openapi.json",
            self._docs_path: "/docs",
            f"{self._docs_path}/{{name}}": "/docs/{name}",
        }
        routes = (*self._served, *self.routes())
        return msgspec.json.encode(
            make_document(routes, key_header=self._key_header, known_as=names)
        )
