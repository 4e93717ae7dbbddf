"""Makes the data of this folder by running version 0.1.0; see README.md.

    python3 make.py COMMAND DYNALITE

COMMAND is the `anthropic-bedrock-proxy` of 0.1.0, DYNALITE the `cli.js` of that npm package.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
PROXY, DYNAMODB = 18900, 18901
MASTER = "master-key-of-the-data"
TABLES = ("api_keys", "usage", "usage_stats", "model_mapping", "model_pricing", "state")
COMMANDS = """\
users create ada --name Ada --rate-limit 500 --monthly-budget 25
teams create crew --tpm-limit 900000 --concurrency-limit 9 --total-budget 1000.5
keys create --name plain
keys create --name owned --user-id ada --team crew --daily-budget 5 --monthly-budget 7.25 \
    --cache-ttl 1h
keys create --name limited --rate-limit 30 --input-tpm-limit 40000 --output-tpm-limit 9000 \
    --concurrency-limit 3
keys create --name narrow --allow-model claude-haiku-* --allow-tool web_search \
    --expires-at 2099-01-01
keys create --name office --allow-network 10.0.0.0/8 --service-tier flex
keys create --name spent --total-budget 0.0000001
keys create --name revoked
keys create --name admin --admin-scope usage:read --admin-scope keys:read
prices set claude-sonnet-4-6 --input 2.123456789 --output 10.5
prices set minimax.minimax-m2 --input 1 --output 2 --region eu-west-1 --from 2026-01-01 \
    --until 2027-01-01
models map fast claude-haiku-4-5
models map nameless zai.glm-4.7 --dialect converse
betas block context-1m-2025-08-07 --model claude-sonnet-4-6 --reason tried
betas allow thinking.display --field
providers add west --region us-west-2 --access-key-id AKIDOFTHEDATA
providers add east --region us-east-2
providers disable east
"""
REQUESTS = (
    ("plain", "claude-haiku-4-5", False),
    ("plain", "claude-sonnet-4-6", True),
    ("plain", "nameless", False),
    ("owned", "fast", True),
    ("owned", "claude-opus-4-6", False),
    ("limited", "claude-sonnet-4-6", False),
    ("rotated", "claude-haiku-4-5", False),
    ("spent", "claude-haiku-4-5", False),
)


class Old:
    """Version 0.1.0 on one store."""

    def __init__(self, command: str, folder: Path, **settings: str) -> None:
        self.command, self.folder = command, folder
        self.secrets: dict[str, str] = {}
        self.ids: dict[str, str] = {}
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "AKIDOFTHEDATA",
            "AWS_SECRET_ACCESS_KEY": "secret-of-the-data",
            "MASTER_API_KEY": MASTER,
            "PORT": str(PROXY),
            "JOURNAL_DIR": str(folder / "journal"),
            "PROVIDER_KEY_ENCRYPTION_SECRET": "encryption-of-the-data",
            "PROVIDER_SECRET_ACCESS_KEY": "secret-of-west",
            **settings,
        }

    def told(self, *words: str) -> str:
        """What a command prints."""
        done = subprocess.run(
            [self.command, *words],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (words, done.stderr)
        return done.stdout

    def document(self, *words: str) -> dict:
        return json.loads(self.told(*words, "--json"))

    def set_up(self) -> None:
        """Runs the commands; notes the keys."""
        for line in COMMANDS.splitlines():
            made = self.document(*line.split())
            if line.startswith("keys create"):
                self.ids[made["name"]], self.secrets[made["name"]] = made["id"], made["key"]
        self.document("keys", "revoke", self.ids["revoked"])
        self.ids["rotated"] = self.document("keys", "create", "--name", "rotated")["id"]
        for name in ("rotated-out", "rotated"):  # both of them hold
            made = self.document("keys", "rotate", self.ids["rotated"], "--overlap", "31622400")
            self.secrets[name] = made["key"]

    @contextmanager
    def serving(self, interval: str) -> Iterator[subprocess.Popen[bytes]]:
        """`serve` on the simulator, until the block ends."""
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [self.command, "serve", "--demo"],
                cwd=self.folder,
                env=self.environment | {"JOURNAL_INTERVAL": interval},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            for _ in range(100):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{PROXY}/health").close()
                    break
                except OSError:
                    time.sleep(0.1)
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait()

    def ask(self, name: str, model: str, stream: bool, text: str = "Hello") -> None:
        """Sends one request, and reads its answer to the end."""
        body = {
            "model": model,
            "max_tokens": 100,
            "stream": stream,
            "messages": [{"role": "user", "content": text}],
        }
        request = urllib.request.Request(
            f"http://127.0.0.1:{PROXY}/v1/messages",
            json.dumps(body).encode(),
            {"x-api-key": self.secrets[name], "content-type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            answer.read()

    def everything(self) -> dict:
        """What the commands tell of the store."""
        prices = self.document("prices", "list")["prices"]
        return {
            "keys": self.document("keys", "list")["keys"],
            "users": self.document("users", "list")["users"],
            "teams": self.document("teams", "list")["teams"],
            "overrides": self.document("betas", "list"),
            "providers": self.document("providers", "list"),
            "prices": [price for price in prices if price.get("source") != "shipped"],
            "usage": {
                by: self.document("usage", "--by", by) for by in ("key", "user", "team", "model")
            },
            "records": [
                json.loads(line)
                for line in self.told("usage", "export", "--format", "json").splitlines()
            ],
            "budgets": {
                f"key {key}": self.document("budgets", "history", "key", key)
                for key in self.ids.values()
            }
            | {
                f"{kind} {owner}": self.document("budgets", "history", kind, owner)
                for kind, owner in (("user", "ada"), ("team", "crew"))
            },
            "audit": [
                [record["id"], record["action"], record["object"]]
                for record in self.document("audit")["records"]
            ],
        }


def live(old: Old) -> dict:
    """A life of 0.1.0, which ends by kill -9; returns what it told before its last requests."""
    old.set_up()
    journal, kept = old.folder / "journal", old.folder / "kept"
    with old.serving("0.1"):
        for request in REQUESTS:
            old.ask(*request)
    # These two are delivered; their file is put back: as if kill -9 had come before its deletion.
    with old.serving("60"):
        old.ask("plain", "claude-sonnet-4-6", stream=False, text="Delivered already")
        old.ask("owned", "fast", stream=True, text="Delivered already")
        shutil.copytree(journal, kept)
    assert not list(journal.glob("*.jsonl"))
    told = {"ids": old.ids, "secrets": old.secrets} | old.everything()
    with old.serving("60") as process:
        for request in (*REQUESTS[:4], REQUESTS[6]):
            old.ask(*request, text="Never delivered")
        os.killpg(process.pid, signal.SIGKILL)
    shutil.copytree(kept, journal, dirs_exist_ok=True)
    return told


def keep(old: Old, told: dict, folder: Path) -> None:
    folder.mkdir()
    shutil.copytree(old.folder / "journal", folder / "journal")
    (folder / "told.json").write_text(by_lines(told))


def by_lines(document: dict) -> str:
    """JSON with a line for each entry of each member: small, and a change of it can be read."""
    members = []
    for name, entries in document.items():
        if isinstance(entries, dict):
            lines = [f"{json.dumps(key)}: {json.dumps(entry)}" for key, entry in entries.items()]
            members.append(f"{json.dumps(name)}: {{\n" + ",\n".join(lines) + "\n}")
        else:
            lines = [json.dumps(entry) for entry in entries]
            members.append(f"{json.dumps(name)}: [\n" + ",\n".join(lines) + "\n]")
    return "{\n" + ",\n".join(members) + "\n}\n"


def sqlite(command: str, folder: Path) -> None:
    old = Old(command, folder, STORE_URL=f"sqlite:///{folder}/proxy.db")
    told = live(old)
    keep(old, told, HERE / "sqlite")
    for path in folder.glob("proxy.db*"):
        if not path.name.endswith("-shm"):
            shutil.copy(path, HERE / "sqlite" / path.name)


def dynamodb(command: str, dynalite: str, folder: Path) -> None:
    url = f"http://127.0.0.1:{DYNAMODB}"
    options = ["--host", "127.0.0.1", "--port", str(DYNAMODB), "--createTableMs", "0"]
    server = subprocess.Popen(["node", dynalite, *options])
    try:
        time.sleep(2)
        old = Old(command, folder, STORE_URL="dynamodb://", DYNAMODB_ENDPOINT_URL=url)
        old.told("tables", "create")
        told = live(old)
        keep(old, told, HERE / "dynamodb")
        names = {kind: f"anthropic-proxy-{kind.replace('_', '-')}" for kind in TABLES}
        items = {kind: scan(url, name) for kind, name in names.items()}
        (HERE / "dynamodb" / "tables.json").write_text(by_lines(items))
    finally:
        server.terminate()
        server.wait()


def scan(url: str, table: str) -> list[dict]:
    """The items of a table, in DynamoDB's JSON. dynalite wants a signature and checks none."""
    credential = "AKID/20261129/us-east-1/dynamodb/aws4_request"
    signed = f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=00"
    headers = {
        "content-type": "application/x-amz-json-1.0",
        "x-amz-target": "DynamoDB_20120810.Scan",
        "x-amz-date": "20261129T000000Z",
        "authorization": signed,
    }
    request = urllib.request.Request(url, json.dumps({"TableName": table}).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        found = json.load(answer)
    assert "LastEvaluatedKey" not in found
    return found["Items"]


def main() -> None:
    command, dynalite = sys.argv[1:]
    for name, make in (("sqlite", sqlite), ("dynamodb", dynamodb)):
        shutil.rmtree(HERE / name, ignore_errors=True)
        with tempfile.TemporaryDirectory() as folder:
            make(*((command,) if name == "sqlite" else (command, dynalite)), Path(folder))


main()
