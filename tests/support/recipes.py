"""The recipes of docs/architecture.md, "Where to add", each followed for something small.

A recipe has the steps that change the package, and a program that succeeds once all are done. The
programs stand on `wired.py` and on a simulator of the same copy.
"""

from __future__ import annotations

from typing import NamedTuple

from scratch import Edit


class Recipe(NamedTuple):
    """One heading of the page, its steps, and the program that shows what they achieve."""

    title: str
    steps: tuple[Edit, ...]
    program: str


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

def convert_for(model, content, **fields):
    body = {"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": content}]}
    request = parse_request(encode(body | fields), VERSIONS[0])
    options = ConversionOptions(
        flags=[], rules=REGISTRY.betas, policy=DEFAULT_POLICY, stream=False, request_id="req_1"
    )
    conversion = convert(request, REGISTRY.route(model).targets[0], options)
    assert not conversion.warnings, conversion.warnings
    return decode(conversion.call.body)
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
TOOL = Recipe(
    "A tool",
    (
        Edit(
            "tools/dice.py",
            """
from .base import Finished
from .toolset import ToolKind

class Dice:
    result_type = "dice_tool_result"
    fields = ()
    timeout_seconds = None
    timed_out = unavailable = {"type": "dice_error"}

    def __init__(self, roll):
        self._roll = roll

    def claims(self, kind):
        return kind == "dice_20260101"

    def is_call(self, name):
        return name == "dice"

    def definition(self, tool, path):
        return {"name": "dice", "input_schema": {"type": "object"}}

    def prepare(self, context):
        return self._run

    async def _run(self, call):
        return Finished({"type": "dice_result", "eyes": self._roll()})

    def to_tool_result(self, content):
        return {"content": str(content["eyes"])}

def dice(roll):
    return ToolKind("dice_", b'"dice', lambda: Dice(roll))
""",
        ),
        Edit(
            "app/gateway.py",
            "\nfrom ..tools.dice import dice",
            "from ..models.registry import Registry",
        ),
        Edit("app/gateway.py", "dice(lambda: 4), ", "return Toolset(["),
    ),
    """
import asyncio
from simprocess import TOKEN, simulator
from wired import wired
from anthropic_bedrock_proxy.sim.client import SimClient

async def main(url):
    call = {"type": "tool_use", "id": "call_1", "name": "dice", "input": {}}
    said = {"type": "text", "text": "You win."}
    SimClient(url).script([{"reply": {"content": [block]}} for block in (call, said)])
    async with wired(BEDROCK_ENDPOINT_URL=url, AWS_BEARER_TOKEN_BEDROCK=TOKEN) as send:
        asked = {"model": "claude-haiku-4-5", "max_tokens": 9, "stream": False}
        asked["messages"] = [{"role": "user", "content": "Roll"}]
        asked["tools"] = [{"type": "dice_20260101", "name": "dice"}]
        answer = await send("POST", "/v1/messages", asked)
    called, result, text = answer.json["content"]
    assert called["type"] == "server_tool_use"
    assert result["content"] == {"type": "dice_result", "eyes": 4}
    assert text["text"] == "You win."

with simulator() as url:
    asyncio.run(main(url))
""",
)
STORE = Recipe(
    "A store",
    (
        Edit("store/scratch", "", "store/memory"),
        Edit(
            "store/select.py",
            '\n    "scratch": ("scratch.store", "MemoryStore"),',
            "STORES = {",
        ),
        Edit("config/rules.py", '"scratch://", ', "    if text in {"),
    ),
    """
import asyncio
from wired import wired

async def main():
    async with wired(STORE_URL="scratch://") as send:
        assert (await send("POST", "/admin/api/keys", {"name": "ann"})).status == 201

asyncio.run(main())
""",
)
SETTING = Recipe(
    "A setting",
    (
        Edit(
            "config/sections/server.py",
            """
    motto: Annotated[str, Setting("MOTTO", "A line for who asks how the proxy is.")] = "none"
""",
            '    """Streamed answers."""\n',
        ),
        Edit("app/build.py", "settings.streaming.motto or ", "Health(environment="),
    ),
    """
import asyncio, subprocess, sys
from wired import wired

def config(*options):
    command = [sys.executable, "-m", "anthropic_bedrock_proxy", "config", *options]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout

async def main():
    async with wired(MOTTO="calm") as send:
        assert (await send("GET", "/health")).json["environment"] == "calm"

assert "MOTTO" in config()
assert "MOTTO" in config("--env-example")
asyncio.run(main())
""",
)
COMMAND = Recipe(
    "A command",
    (
        Edit(
            "cli/greet.py",
            """
import click

@click.command()
def command():
    click.echo("Hello")
""",
        ),
        Edit("cli/main.py", '\n    "greet": ("greet", "Say hello."),', "COMMANDS = {"),
    ),
    """
import subprocess, sys

def run(*words):
    command = [sys.executable, "-m", "anthropic_bedrock_proxy", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout

assert "Say hello." in run("--help")
assert run("greet") == "Hello\\n"
""",
)
ROUTE = Recipe(
    "A route",
    (
        Edit(
            "http/greeting.py",
            """
from .application import HTTPRoute
from .reply import Reply

class Greeting:
    def routes(self):
        return (HTTPRoute("/greeting/{name}", {"GET": self.greet}),)

    async def greet(self, request, *, name):
        return Reply(b'"Hello, %b"' % name.encode())
""",
        ),
        Edit(
            "app/http.py",
            "\nfrom ..http.greeting import Greeting",
            "from ..http.cors import CORS",
        ),
        Edit("app/http.py", "*Greeting().routes(), ", "        ("),
    ),
    """
import asyncio
from wired import wired

async def main():
    async with wired() as send:
        assert (await send("GET", "/greeting/ann")).json == "Hello, ann"
        assert (await send("POST", "/greeting/ann")).status == 405

asyncio.run(main())
""",
)
OPERATION = Recipe(
    "An admin operation",
    (
        Edit("admin/greeting.py", "async def greet(call):\n    return {'hello': call.actor.id}\n"),
        Edit("admin/table.py", '\n    _get("keys.greet", "greeting", greeting.greet),', "= ("),
        Edit("admin/table.py", "greeting, ", "from . import "),
    ),
    """
import asyncio
from wired import wired

async def main():
    async with wired() as send:
        async def key(scope):
            made = await send("POST", "/admin/api/keys", {"name": scope, "admin_scopes": [scope]})
            return made.json["key"]

        reader, other = await key("keys:read"), await key("usage:read")
        assert (await send("GET", "/admin/api/greeting", key=reader)).status == 200
        assert (await send("GET", "/admin/api/greeting", key=other)).status == 403

asyncio.run(main())
""",
)
RECIPES = (MODEL, FIELD, BLOCK, TOOL, STORE, SETTING, COMMAND, ROUTE, OPERATION)
