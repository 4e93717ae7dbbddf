"""Recipes of docs/architecture.md for parts of the proxy and for its operators, in small."""

from __future__ import annotations

from scratch import Edit, Recipe

TOOL = Recipe(
    "A tool",
    (
        Edit(
            "tools/dice.py",
            """
from .base import PreparedTool, ServerTool, ToolOffer
from .calls import Finished
from .kinds import ToolKind

class Dice(ServerTool):
    result_types = frozenset(("dice_tool_result",))
    user_blocks = {}
    fields = ()
    usage_field = None
    timeout_seconds = None

    def __init__(self, roll):
        self._roll = roll

    def claims(self, kind):
        return kind == "dice_20260101"

    def is_call(self, name):
        return name == "dice"

    def result_type(self, name):
        return "dice_tool_result"

    def timed_out(self, name):
        return {"type": "dice_error"}

    unavailable = timed_out

    def offer(self, tool, path, tools):
        return ToolOffer([{"name": "dice", "input_schema": {"type": "object"}}])

    def prepare(self, context, pending):
        return PreparedTool(self._run)

    async def _run(self, call):
        return Finished({"type": "dice_result", "eyes": self._roll()})

    def to_tool_result(self, content, context):
        return {"content": str(content["eyes"])}

def dice(roll):
    return ToolKind("dice_", frozenset(("dice",)), lambda: Dice(roll))
""",
        ),
        Edit(
            "app/gateway.py",
            "\nfrom ..tools.dice import dice",
            "from ..models.registry import Registry",
        ),
        Edit("app/gateway.py", "dice(lambda: 4), ", "kinds = ["),
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
ISOLATION = Recipe(
    "An isolation",
    (
        Edit(
            "sandbox/isolation/bare.py",
            """
import asyncio
from .base import IsolationState

class BareRunner:
    workspace = "."

    def __init__(self, process):
        self._process = process

    async def read(self):
        return await self._process.stdout.read(65536)

    async def write(self, data):
        self._process.stdin.write(data)
        await self._process.stdin.drain()

    async def kill(self):
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    async def why_ended(self):
        return ""

class Bare:
    name = "bare"

    def __init__(self, command):
        self._command = command
        self._runners = []

    async def open(self):
        pass

    async def state(self):
        return IsolationState("ready")

    async def start(self):
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*self._command, stdin=pipe, stdout=pipe)
        self._runners.append(BareRunner(process))
        return self._runners[-1]

    async def close(self):
        for runner in self._runners:
            await runner.kill()
""",
        ),
        Edit("sandbox/isolation/select.py", '"bare", ', "KINDS: Final = ("),
        Edit(
            "sandbox/isolation/select.py",
            """
        case "bare":
            from .bare import Bare
            return Bare(options.command)""",
            "    match options.kind:",
        ),
        Edit("config/sections/sandbox.py", '"bare", ', "Literal["),
    ),
    """
import asyncio, os, subprocess, sys
from anthropic_bedrock_proxy.app.executor import isolation_options
from anthropic_bedrock_proxy.config import load_settings
from anthropic_bedrock_proxy.sandbox.bundle import runner_program
from anthropic_bedrock_proxy.sandbox.executor.frames import RunBashFrame
from anthropic_bedrock_proxy.sandbox.executor.runner_link import RunnerBounds, start_runner
from anthropic_bedrock_proxy.sandbox.isolation.select import KINDS, make_isolation

os.environ["SANDBOX_ISOLATION"] = "bare"

async def main():
    settings = load_settings(None).sandbox
    isolation = make_isolation(isolation_options(settings, "test"))
    link = await start_runner(isolation, runner_program(), RunnerBounds())
    await link.send(RunBashFrame(link.begin(), "echo 7", False, 9.0))
    assert (await link.receive(20)).stdout == "7\\n"
    link.finish()
    await link.end("")
    await isolation.close()

asyncio.run(main())
assert "bare" in KINDS
check = [sys.executable, "-m", "anthropic_bedrock_proxy", "sandbox", "check"]
done = subprocess.run(check, capture_output=True, text=True)
assert (done.returncode, done.stdout[:11]) == (1, "bare: ready"), done.stderr
assert "These walls do not hold" in done.stdout
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
        Edit("app/health.py", "settings.streaming.motto or ", "        environment="),
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
        Edit("admin/table.py", "\n    greeting,", "from . import ("),
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
PART_RECIPES = (TOOL, ISOLATION, STORE, SETTING, COMMAND, ROUTE, OPERATION)
