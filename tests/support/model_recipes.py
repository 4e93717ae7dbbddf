"""Recipes of docs/architecture.md for models and for what is said to them, in small."""

from __future__ import annotations

from scratch import Edit, Recipe

MODEL = Recipe(
    "A model",
    (
        Edit(
            "models/models.toml",
            """
[[model]]
id = "claude-opus-9"
display_name = "Claude Opus 9"
bedrock = "anthropic.claude-opus-9"
profiles = ["us"]
generation = "4.8"
""",
        ),
        Edit(
            "sim/models/catalog.py",
            '\n    _claude("claude-opus-9", "", "us"),',
            "MODELS: tuple[Model, ...] = (",
        ),
    ),
    """
import asyncio
from simprocess import TOKEN, simulator
from wired import wired

async def main(url):
    async with wired(BEDROCK_ENDPOINT_URL=url, AWS_BEARER_TOKEN_BEDROCK=TOKEN) as send:
        listed = await send("GET", "/v1/models?limit=1000")
        assert "claude-opus-9" in [model["id"] for model in listed.json["data"]]
        asked = {"model": "claude-opus-9", "max_tokens": 9}
        asked["messages"] = [{"role": "user", "content": "Hello"}]
        answer = await send("POST", "/v1/messages", asked)
        assert answer.json["model"] == "claude-opus-9", answer.body

with simulator() as url:
    asyncio.run(main(url))
""",
)

_CONVERSION = """
from msgspec.json import decode, encode
from anthropic_bedrock_proxy.app.models import make_registry
from anthropic_bedrock_proxy.config import Settings
from anthropic_bedrock_proxy.gateway.conversion import ConversionOptions, convert
from anthropic_bedrock_proxy.protocol.request.messages import VERSIONS, parse_request
from anthropic_bedrock_proxy.protocol.request.policy import DEFAULT_POLICY

REGISTRY = make_registry(Settings())

def conversion_for(model, content, **fields):
    body = {"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": content}]}
    request = parse_request(encode(body | fields), VERSIONS[0])
    options = ConversionOptions(
        flags=[], rules=REGISTRY.betas, policy=DEFAULT_POLICY, stream=False, request_id="req_1"
    )
    conversion = convert(request, REGISTRY.route(model).targets[0], options)
    assert not conversion.warnings, conversion.warnings
    return conversion

def convert_for(model, content, **fields):
    return decode(conversion_for(model, content, **fields).call.body)
"""
FIELD = Recipe(
    "A field",
    (
        Edit(
            "protocol/native/fields.py", '\n        "mood",', "CONVERTED: Final = frozenset(\n    ("
        ),
        Edit(
            "protocol/converse/request/settings.py",
            """
    if (mood := draft.request.fields.get("mood")) is not None:
        draft.additional["mood"] = read(mood, tree_decoder, "mood")
""",
            "    config: dict[str, Any] = {}",
        ),
    ),
    f"""{_CONVERSION}
body = convert_for("amazon.nova-lite-v1:0", "Hello", mood="calm")
assert body["additionalModelRequestFields"]["mood"] == "calm", body
""",
)
BLOCK = Recipe(
    "A block type",
    (
        Edit(
            "protocol/converse/request/blocks.py",
            """

class Poem(Typed, tag="poem"):
    lines: list[str]
    cache_control: CacheControl | None = None
""",
            '    """Thoughts that only the model can read."""\n\n    data: str\n',
        ),
        Edit("protocol/converse/request/blocks.py", "Poem | ", "UserBlock = "),
        Edit("protocol/converse/request/turns.py", "    Poem,\n", "    Message,\n"),
        Edit(
            "protocol/converse/request/turns.py",
            """
        case Poem():
            turn.others.append({"text": " / ".join(block.lines)})""",
            "    match block:",
        ),
    ),
    f"""{_CONVERSION}
body = convert_for("amazon.nova-lite-v1:0", [{{"type": "poem", "lines": ["a", "b"]}}])
assert body["messages"][0]["content"] == [{{"text": "a / b"}}], body
""",
)
DIALECT = Recipe(
    "A dialect",
    (
        Edit("models/table.py", '"telegram", ', "DIALECTS: Final = ("),
        Edit(
            "models/models.toml",
            """
[generation.wire]
dialects = ["telegram"]

[[model]]
id = "maker.wire-v1:0"
display_name = "Wire"
bedrock = "maker.wire-v1:0"
generation = "wire"
""",
        ),
        Edit(
            "protocol/telegram/request.py",
            """
def to_telegram(request):
    return b"STOP".join(bytes(message.content, "utf-8") for message in request.view.messages)
""",
        ),
        Edit(
            "gateway/conversion.py",
            "\nfrom ..protocol.telegram.request import to_telegram",
            "from ..protocol.request.policy import Policy",
        ),
        Edit(
            "gateway/conversion.py",
            """
    if target.dialect == "telegram":
        return Conversion(
            call=ModelCall(
                operation="telegram",
                bedrock_model_id=target.bedrock_model_id,
                body=to_telegram(adapted.request),
            ),
            new_decoder=None,
            finish=bytes,
            dropped=[],
            warnings=[],
            added={},
        )""",
            "    adapted = adapt(request, options.flags, target.capabilities, options.rules, "
            "options.policy)",
        ),
    ),
    f"""{_CONVERSION}
call = conversion_for("maker.wire-v1:0", "Hello").call
assert (call.operation, call.body) == ("telegram", b"Hello"), call
""",
)
MODEL_RECIPES = (MODEL, FIELD, BLOCK, DIALECT)
