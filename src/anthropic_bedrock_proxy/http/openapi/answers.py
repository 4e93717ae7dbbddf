"""Headers and errors of answers, as components: made from what the code says of each.

An error's statuses and types are those of the `ProxyError` tree; the headers those of cors.EXPOSED.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from ... import errors
from ..cors import EXPOSED

# What the HTTP connection itself refuses, before there is a request (http/server/).
_OF_THE_CONNECTION: Final = {
    408: "The request's headers did not arrive in time.",
    414: "The request target is over 16 KiB.",
    417: "An `expect` other than `100-continue`.",
    431: "The headers are over 64 KiB, or over 200 of them.",
    501: "A method or a transfer coding that nothing here knows.",
    505: "Neither HTTP/1.1 nor HTTP/1.0.",
}
# Statuses that any path may answer.
ANYWHERE: Final = (400, *_OF_THE_CONNECTION, 500, 503)
WITH_KEY: Final = (401, 403, 429)
WITH_BODY: Final = (413,)
_ABOUT: Final = {
    "allow": "The methods of the path.",
    "request-id": "The id of this request, and of its usage record.",
    "retry-after": "Seconds to wait before trying again.",
    "x-amzn-requestid": "Bedrock's id of the same request.",
    "x-bedrock-target": "PROVIDER/DIALECT that served it, where there was a choice.",
    "x-cost-usd": "What the answer has cost; with REPORT_COST, where a price is known.",
    "x-next-after": "How to ask for the page that follows: the next `after`.",
    "x-proxy-warning": "What was changed in a way that changes the answer; a model that ends.",
    "x-should-retry": "Whether trying again can help; the SDKs obey.",
    "x-token-count": "`estimate` if Bedrock was not asked.",
}
_INTEGERS: Final = ("retry-after",)
LIMIT_HEADERS: Final = tuple(name for name in EXPOSED if "ratelimit-" in name)
_REQUIRED: Final = ("request-id", "x-should-retry")  # wherever they are listed


def reference(kind: str, name: str) -> dict[str, str]:
    """Returns a reference to a component; `kind` is `schemas`, `headers` or `responses`."""
    return {"$ref": f"#/components/{kind}/{name}"}


def header_components() -> dict[str, Any]:
    """Returns every header of answers by its name."""
    return {name: _header(name) for name in EXPOSED}


def headers(*names: str) -> dict[str, Any]:
    """Returns references to the headers of an answer; `request-id` is on each."""
    return {name: reference("headers", name) for name in ("request-id", *names)}


def error_schema() -> dict[str, Any]:
    """Returns the schema of every error document."""
    return {
        "type": "object",
        "description": "An error, in Anthropic's shape.",
        "required": ["type", "error", "request_id"],
        "properties": {
            "type": {"const": "error"},
            "error": {
                "type": "object",
                "required": ["type", "message"],
                "properties": {
                    "type": {"enum": sorted({kind for _, kind in error_kinds()})},
                    "message": {"type": "string"},
                    "details": {
                        "type": "object",
                        "properties": {
                            "error_code": {"type": "string"},
                            "unsupported": {"type": "array", "items": {"type": "string"}},
                        },
                    },
                },
            },
            "request_id": {"type": "string"},
        },
    }


def error_kinds() -> list[tuple[int, str]]:
    """Returns (status, Anthropic's error type) of every error there is."""
    kinds = {(kind.status, kind.type) for kind in _classes()}
    kinds |= {(status, "invalid_request_error") for status in _OF_THE_CONNECTION}
    return sorted(kinds)


def error_components() -> dict[str, Any]:
    """Returns an answer for each status of an error, by the name `Error<status>`."""
    return {f"Error{status}": _error(status) for status in sorted({s for s, _ in error_kinds()})}


def error_answers(statuses: Iterable[int]) -> dict[str, Any]:
    """Returns references to the answers of some errors, by status."""
    return {str(status): reference("responses", f"Error{status}") for status in sorted(statuses)}


def _classes() -> list[type[errors.ProxyError]]:
    return [
        each
        for each in vars(errors).values()
        if isinstance(each, type) and issubclass(each, errors.ProxyError)
    ]


def _header(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "integer" if name in _INTEGERS else "string"}
    if name == "x-should-retry":
        schema["enum"] = ["true", "false"]
    about = _ABOUT.get(name)
    if about is None:  # of a rate limit
        kind, _, part = name.removeprefix("anthropic-ratelimit-").rpartition("-")
        told = {"limit": "The limit", "remaining": "What is left", "reset": "When it is full"}
        kind = "requests" if kind == "x-ratelimit" else kind
        about = f"{told[part]}: {kind} of the caller."
        if part != "reset" or name.startswith("x-"):
            schema = {"type": "integer"}
    header: dict[str, Any] = {"description": about, "schema": schema}
    return header | ({"required": True} if name in _REQUIRED else {})


def _error(status: int) -> dict[str, Any]:
    types = sorted(kind for each, kind in error_kinds() if each == status)
    lines = [(each.__doc__ or "").partition("\n")[0] for each in _classes() if _is(each, status)]
    if status in _OF_THE_CONNECTION:
        lines.append(_OF_THE_CONNECTION[status])
    names = ["x-should-retry", "retry-after"]
    if status == errors.MethodNotAllowedError.status:
        names.append("allow")
    if status in WITH_KEY:
        names += LIMIT_HEADERS
    return {
        "description": f"`{'`, `'.join(types)}`: {' '.join(lines)}",
        "headers": headers(*names),
        "content": {"application/json": {"schema": reference("schemas", "Error")}},
    }


def _is(kind: type[errors.ProxyError], status: int) -> bool:
    return kind.status == status and kind is not errors.ProxyError
