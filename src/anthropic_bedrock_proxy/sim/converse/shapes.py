"""The request shapes of Converse, ConverseStream and CountTokens' converse input, as data.

Names, constraints and unions are those of the bedrock-runtime service model (botocore 1.44).
"""

from __future__ import annotations

import re

from ..wire.patterns import CONVERSE_ID, CONVERSE_NAME
from ..wire.shapes import Anything, Flag, ListOf, MapOf, Number, Shape, Structure, Text, Union

_ANY = Anything()
_FLAG = Flag()
_TEXT = Text()
_NAME = Text(1, 64, CONVERSE_NAME)
_ID = Text(1, 64, CONVERSE_ID)
_BLOB = Text(1, blob=True)
_S3 = Structure(
    {"uri": Text(1, 1024, re.compile(r"s3://[a-z0-9][\.\-a-z0-9]{1,61}[a-z0-9](/.*)?"))},
    {"bucketOwner": Text(pattern=re.compile(r"[0-9]{12}"))},
)
_TEXT_UNION = Union({"text": _TEXT})
_CITATIONS_CONFIG = Structure({"enabled": _FLAG})
_ERROR = Structure({}, {"message": _TEXT})
_MEDIA_SOURCE = Union({"bytes": _BLOB, "s3Location": _S3})
_CACHE_POINT = Structure({"type": Text(values=("default",))}, {"ttl": Text(values=("5m", "1h"))})

_IMAGE = Structure(
    {"format": Text(values=("png", "jpeg", "gif", "webp")), "source": _MEDIA_SOURCE},
    {"error": _ERROR},
)
_DOCUMENT = Structure(
    {
        "name": Text(1, 200),
        "source": Union(
            {
                "bytes": _BLOB,
                "s3Location": _S3,
                "text": _TEXT,
                "content": ListOf(_TEXT_UNION),
            }
        ),
    },
    {
        "format": Text(values=("pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md")),
        "context": _TEXT,
        "citations": _CITATIONS_CONFIG,
    },
)
_VIDEO = Structure(
    {
        "format": Text(
            values=("mkv", "mov", "mp4", "webm", "flv", "mpeg", "mpg", "wmv", "three_gp")
        ),
        "source": _MEDIA_SOURCE,
    }
)
_AUDIO = Structure({"format": _TEXT, "source": _MEDIA_SOURCE}, {"error": _ERROR})
_SEARCH_RESULT = Structure(
    {"source": _TEXT, "title": _TEXT, "content": ListOf(Structure({"text": _TEXT}))},
    {"citations": _CITATIONS_CONFIG},
)
_TOOL_USE = Structure(
    {"toolUseId": _ID, "name": _NAME, "input": _ANY},
    {"type": Text(values=("server_tool_use",))},
)
_TOOL_RESULT = Structure(
    {
        "toolUseId": _ID,
        "content": ListOf(
            Union(
                {
                    "json": _ANY,
                    "text": _TEXT,
                    "image": _IMAGE,
                    "document": _DOCUMENT,
                    "video": _VIDEO,
                    "searchResult": _SEARCH_RESULT,
                }
            )
        ),
    },
    {"status": Text(values=("success", "error")), "type": _TEXT},
)
_GUARD_CONTENT = Union(
    {
        "text": Structure({"text": _TEXT}, {"qualifiers": ListOf(_TEXT)}),
        "image": Structure(
            {"format": Text(values=("png", "jpeg")), "source": Union({"bytes": _BLOB})}
        ),
    }
)
_REASONING = Union(
    {
        "reasoningText": Structure({"text": _TEXT}, {"signature": _TEXT}),
        "redactedContent": Text(blob=True),
    }
)
_SPAN = Structure({}, {"documentIndex": Number(0), "start": Number(0), "end": Number(0)})
_CITATION = Structure(
    {},
    {
        "title": _TEXT,
        "source": _TEXT,
        "sourceContent": ListOf(_TEXT_UNION),
        "location": Union(
            {
                "web": Structure({}, {"url": _TEXT, "domain": _TEXT}),
                "documentChar": _SPAN,
                "documentPage": _SPAN,
                "documentChunk": _SPAN,
                "searchResultLocation": Structure(
                    {}, {"searchResultIndex": Number(0), "start": Number(0), "end": Number(0)}
                ),
            }
        ),
    },
)
_TOOL_CHANGE = Structure(
    {"tool": Structure({}, {"type": Text(1, 64), "name": Text(1, 128), "serverName": Text(1, 128)})}
)
_MESSAGES = ListOf(
    Structure(
        {
            "role": Text(values=("user", "assistant", "system")),
            "content": ListOf(
                Union(
                    {
                        "text": _TEXT,
                        "image": _IMAGE,
                        "document": _DOCUMENT,
                        "video": _VIDEO,
                        "audio": _AUDIO,
                        "toolUse": _TOOL_USE,
                        "toolResult": _TOOL_RESULT,
                        "guardContent": _GUARD_CONTENT,
                        "cachePoint": _CACHE_POINT,
                        "reasoningContent": _REASONING,
                        "citationsContent": Structure(
                            {},
                            {"content": ListOf(_TEXT_UNION), "citations": ListOf(_CITATION)},
                        ),
                        "searchResult": _SEARCH_RESULT,
                        "toolAddition": _TOOL_CHANGE,
                        "toolRemoval": _TOOL_CHANGE,
                    }
                )
            ),
        }
    )
)
_SYSTEM = ListOf(
    Union({"text": Text(1), "guardContent": _GUARD_CONTENT, "cachePoint": _CACHE_POINT})
)
_TOOL_CONFIG = Structure(
    {
        "tools": ListOf(
            Union(
                {
                    "toolSpec": Structure(
                        {"name": _NAME, "inputSchema": Union({"json": _ANY})},
                        {"description": Text(1), "strict": _FLAG},
                    ),
                    "systemTool": Structure({"name": _NAME}),
                    "cachePoint": _CACHE_POINT,
                }
            ),
            least=1,
        )
    },
    {
        "toolChoice": Union(
            {"auto": Structure(), "any": Structure(), "tool": Structure({"name": _NAME})}
        )
    },
)
_GUARDRAIL = {
    "guardrailIdentifier": Text(0, 2048),
    "guardrailVersion": Text(pattern=re.compile(r"(|([1-9][0-9]{0,7})|(DRAFT))")),
    "trace": Text(values=("enabled", "disabled", "enabled_full")),
}
_JSON_SCHEMA = Structure({"schema": _TEXT}, {"name": _TEXT, "description": _TEXT})
_REQUEST: dict[str, Shape] = {
    "messages": _MESSAGES,
    "system": _SYSTEM,
    "inferenceConfig": Structure(
        {},
        {
            "maxTokens": Number(1, whole=True),
            "temperature": Number(0, 1),
            "topP": Number(0, 1),
            "stopSequences": ListOf(Text(1), most=2500),
        },
    ),
    "toolConfig": _TOOL_CONFIG,
    "guardrailConfig": Structure({}, _GUARDRAIL),
    "additionalModelRequestFields": _ANY,
    "promptVariables": MapOf(_TEXT_UNION),
    "additionalModelResponseFieldPaths": ListOf(Text(1, 256), most=10),
    "requestMetadata": MapOf(Text(0, 256), least=1, most=16),
    "performanceConfig": Structure({}, {"latency": Text(values=("standard", "optimized"))}),
    "serviceTier": Structure({"type": Text(values=("priority", "default", "flex", "reserved"))}),
    "outputConfig": Structure(
        {},
        {
            "textFormat": Structure(
                {
                    "type": Text(values=("json_schema",)),
                    "structure": Union({"jsonSchema": _JSON_SCHEMA}),
                }
            ),
            "effort": Text(0, 16),
        },
    ),
}
CONVERSE = Structure({}, _REQUEST)
CONVERSE_STREAM = Structure(
    {},
    {
        **_REQUEST,
        "guardrailConfig": Structure(
            {}, {**_GUARDRAIL, "streamProcessingMode": Text(values=("sync", "async"))}
        ),
    },
)
COUNT_TOKENS = Structure(
    {},
    {
        name: _REQUEST[name]
        for name in ("messages", "system", "toolConfig", "additionalModelRequestFields")
    },
)
