"""Descriptions of the routes that are not the admin API's: a row for each path and method.

A summary that is missing here is the first line of the handler's docstring. HEAD is as GET, without
the body. `tests/http/openapi/test_document.py` holds the table against the routes.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from .answers import LIMIT_HEADERS, reference

MESSAGES: Final = "Messages"
MODELS: Final = "Models"
FILES: Final = "Files"
STATE: Final = "State"
DESCRIPTION: Final = "Description"
MODEL: Final = "claude-haiku-4-5"
_CONVERSATION: Final = {"model": MODEL, "messages": [{"role": "user", "content": "Hello!"}]}
_TEXT: Final = {"type": "string"}
_JSON: Final = "application/json"
_OF_THE_MODEL: Final = (404, 409, 413, 504, 529)


class Parameter(msgspec.Struct, frozen=True):
    """One parameter of an operation; `place` is query, header or path."""

    name: str
    place: str
    about: str
    schema: dict[str, Any] = msgspec.field(default_factory=_TEXT.copy)
    needed: bool = False


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """The description of one path and method.

    `content` are the schemas of the answer by media type, `failures` the statuses beyond those that
    any path answers, `body` (media type, schema, example).
    """

    id: str
    tag: str
    content: dict[str, dict[str, Any]]
    body: tuple[str, dict[str, Any], Any] | None = None
    parameters: tuple[Parameter, ...] = ()
    failures: tuple[int, ...] = ()
    headers: tuple[str, ...] = ()
    keyed: bool = True
    may_need_token: bool = False  # a bearer that is no API key, if the operator has set one
    about: str = ""
    body_needed: bool = True
    unwell: bool = False  # answers its document with 503 too


def _json(name: str) -> dict[str, dict[str, Any]]:
    return {_JSON: reference("schemas", name)}


_VERSION: Final = Parameter(
    "anthropic-version", "header", "The version of the API.", _TEXT | {"examples": ["2023-06-01"]}
)
_BETA: Final = Parameter("anthropic-beta", "header", "Flags of beta features, with commas between.")
_LIMIT: Final = Parameter(
    "limit",
    "query",
    "Entries of a page.",
    {"type": "integer", "minimum": 1, "maximum": 1000, "default": 20},
)
_AFTER: Final = Parameter("after_id", "query", "The id that the page begins behind.")
_BEFORE: Final = Parameter("before_id", "query", "The id that the page ends before.")
_FILE_ID: Final = Parameter(
    "file_id", "path", "The id of a file.", _TEXT | {"minLength": 1}, needed=True
)
_MODEL_ID: Final = Parameter(
    "model_id",
    "path",
    "An id, an alias or a Bedrock id.",
    _TEXT | {"minLength": 1, "examples": [MODEL]},
    needed=True,
)
_LIFECYCLE: Final = Parameter(
    "lifecycle[]",
    "query",
    "The lifecycles that are listed.",
    {"type": "array", "items": {"enum": ["active", "deprecated", "retired"]}},
)
_IDS: Final = Parameter(
    "ids[]", "query", "The files that are wanted.", {"type": "array", "items": _TEXT}
)
_PAGE_FILE: Final = _TEXT | {"minLength": 1, "examples": ["initializer.js"]}
_PAGE: Final = Parameter("page", "query", "The `next_page` of the page before.")


def _state(name: str, schema: str, *, unwell: bool = False) -> Description:
    return Description(id=name, tag=STATE, content=_json(schema), keyed=False, unwell=unwell)


TABLE: Final[dict[tuple[str, str], Description]] = {
    ("/v1/messages", "POST"): Description(
        id="messages.create",
        tag=MESSAGES,
        content={
            _JSON: reference("schemas", "Message"),
            "text/event-stream": _TEXT | {"description": "With `stream`: server-sent events."},
        },
        body=(
            _JSON,
            reference("schemas", "MessageRequest"),
            _CONVERSATION | {"max_tokens": 100},
        ),
        parameters=(_VERSION, _BETA),
        failures=_OF_THE_MODEL,
        headers=(
            *LIMIT_HEADERS,
            *("x-amzn-requestid", "x-bedrock-target", "x-cost-usd", "x-proxy-warning"),
        ),
        about="In a stream that has begun an error is an `error` event, the last of the stream.",
    ),
    ("/v1/messages/count_tokens", "POST"): Description(
        id="messages.countTokens",
        tag=MESSAGES,
        content=_json("TokenCount"),
        body=(_JSON, reference("schemas", "CountRequest"), _CONVERSATION),
        parameters=(_VERSION, _BETA),
        failures=_OF_THE_MODEL,
        headers=("x-proxy-warning", "x-token-count"),
    ),
    ("/v1/models", "GET"): Description(
        id="models.page",
        tag=MODELS,
        content=_json("ModelPage"),
        parameters=(_LIMIT, _AFTER, _BEFORE, _LIFECYCLE),
    ),
    ("/v1/models/{model_id}", "GET"): Description(
        id="models.retrieve",
        tag=MODELS,
        content=_json("Model"),
        parameters=(_MODEL_ID,),
        failures=(404,),
    ),
    ("/v1/files", "POST"): Description(
        id="files.upload",
        tag=FILES,
        content=_json("File"),
        body=(
            "multipart/form-data",
            reference("schemas", "FileForm"),
            {"file": "a,b\n1,2\n"},
        ),
        failures=(404, 413),
    ),
    ("/v1/files", "GET"): Description(
        id="files.page",
        tag=FILES,
        content=_json("FilePage"),
        parameters=(_LIMIT, _PAGE, _AFTER, _BEFORE, _IDS),
        failures=(404,),
    ),
    ("/v1/files/{file_id}", "GET"): Description(
        id="files.retrieve",
        tag=FILES,
        content=_json("File"),
        parameters=(_FILE_ID,),
        failures=(404,),
    ),
    ("/v1/files/{file_id}", "DELETE"): Description(
        id="files.delete",
        tag=FILES,
        content=_json("DeletedFile"),
        parameters=(_FILE_ID,),
        failures=(404,),
    ),
    ("/v1/files/{file_id}/content", "GET"): Description(
        id="files.download",
        tag=FILES,
        content={"*/*": {"type": "string", "contentMediaType": "application/octet-stream"}},
        parameters=(_FILE_ID,),
        failures=(404,),
    ),
    ("/", "GET"): _state("root", "Name"),
    ("/api/hello", "GET"): _state("hello", "Name"),
    ("/health", "GET"): _state("health", "Health"),
    ("/ready", "GET"): _state("ready", "Readiness", unwell=True),
    ("/liveness", "GET"): _state("liveness", "Liveness"),
    ("/health/ptc", "GET"): _state("health.ptc", "SandboxHealth", unwell=True),
    ("/health/web-search", "GET"): _state("health.webSearch", "SearchHealth", unwell=True),
    ("/metrics", "GET"): Description(
        id="metrics",
        tag=STATE,
        content={
            "text/plain": _TEXT,
            "application/openmetrics-text": _TEXT,
        },
        keyed=False,
        may_need_token=True,
    ),
    ("/openapi.json", "GET"): Description(
        id="openapi", tag=DESCRIPTION, content={_JSON: {"type": "object"}}, keyed=False
    ),
    ("/docs", "GET"): Description(
        id="docs", tag=DESCRIPTION, content={"text/html": _TEXT}, keyed=False
    ),
    ("/docs/{name}", "GET"): Description(
        id="docs.file",
        tag=DESCRIPTION,
        content={"text/javascript": _TEXT, "text/css": _TEXT},
        parameters=(Parameter("name", "path", "A file of the page.", _PAGE_FILE, needed=True),),
        failures=(404,),
        keyed=False,
    ),
    ("/api/event_logging/batch", "POST"): Description(
        id="eventLogging",
        tag=STATE,
        content=_json("Taken"),
        body=(_JSON, {}, {"events": []}),
        body_needed=False,  # whatever comes is forgotten
        failures=(413,),
        keyed=False,
    ),
}
