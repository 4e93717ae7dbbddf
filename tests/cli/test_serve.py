"""`serve` as a person meets it, in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner
from dynamo_servers import server

from anthropic_bedrock_proxy import __version__
from anthropic_bedrock_proxy.cli.main import COMMANDS, cli


def environment(folder, **extra):
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": os.pathsep.join(sys.path),
        "AWS_EC2_METADATA_DISABLED": "true",
        **{name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")},
        **extra,
    }


class Served:
    def __init__(self, folder, *options, terminal=False, **extra):
        self.out = folder / "out.txt"
        self.err = folder / "err.txt"
        self.terminal, writes_to = os.openpty() if terminal else (None, None)
        with self.out.open("w") as out, self.err.open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "anthropic_bedrock_proxy", "serve", "--port", "0", *options],
                cwd=folder,
                env=environment(folder, **extra),
                stdout=writes_to or out,
                stderr=err,
            )
        if terminal:
            os.close(writes_to)
            os.set_blocking(self.terminal, False)
        self.banner = ""
        deadline = time.monotonic() + 20
        while " claude\n" not in self.banner:
            assert self.process.poll() is None, "it ended"
            assert time.monotonic() < deadline
            time.sleep(0.02)
            self.banner = self.printed()

    def printed(self):
        if self.terminal is None:
            return self.out.read_text()
        with contextlib.suppress(BlockingIOError):
            return self.banner + os.read(self.terminal, 65536).decode().replace("\r", "")
        return self.banner

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(15) == 0
        if self.terminal is not None:
            os.close(self.terminal)


def paste(line):
    """What a shell would do with a printed curl line, by the standard library."""
    words = shlex.split(line)
    assert words[0] == "curl"
    url, options = words[1], words[2:]
    headers = dict(value.split(": ", 1) for flag, value in pairwise(options) if flag == "-H")
    data = options[options.index("-d") + 1].encode()
    request = urllib.request.Request(url, data, headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


@pytest.mark.parametrize("options", [("--demo",), ("--demo-without-aws", "--workers", "2")])
def test_the_printed_curl_line_answers_and_the_first_key_is_shown_once(tmp_path, options):
    with Served(tmp_path, *options, terminal=True) as served:
        assert "the built-in simulator (demo)" in served.banner
        assert "data       sqlite:///data/demo/proxy.db" in served.banner
        assert "Its keys and usage are its own" in served.banner
        (curl,) = re.findall(r"^  (curl .*)$", served.banner, re.MULTILINE)
        answer = paste(curl)
        assert answer["type"] == "message"
        assert answer["model"] == "claude-haiku-4-5"
        key = re.search(r"first key  (sk-\S+)", served.banner)[1]
        assert key in curl
    with Served(tmp_path, *options, terminal=True) as served:
        assert "first key" not in served.banner
        assert "none yet" not in served.banner
        (said,) = re.findall(r"API keys   one that you have, or a new one: (.*)", served.banner)
        with_a_key_of(said, served, tmp_path)


def with_a_key_of(said, served, folder):
    """Does what the banner says, as it is written: makes a key, and pastes the line for curl."""
    made = subprocess.run(
        f"{said} --json",
        shell=True,
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        check=True,
    )
    assert "export PROXY_KEY=" in served.banner
    (curl,) = re.findall(r"^  (curl .*)$", served.banner, re.MULTILINE)
    assert '-H "x-api-key: $PROXY_KEY"' in curl, "a shell puts the key there"
    answer = paste(curl.replace("$PROXY_KEY", json.loads(made.stdout)["key"]))
    assert answer["type"] == "message"


def test_where_nobody_looks_no_key_is_made_and_it_is_said_how(tmp_path):
    """A container's output is kept, and read by many."""
    with Served(tmp_path, "--demo") as served:
        assert "sk-" not in served.banner
        (said,) = re.findall(r"API keys   none yet: (.*)", served.banner)
        with_a_key_of(said, served, tmp_path)
    with Served(tmp_path, "--demo") as served:
        assert "none yet" not in served.banner


def test_two_first_starts_at_once_make_one_key(tmp_path):
    both = [tmp_path / name for name in ("one", "two")]
    store = {"STORE_URL": f"sqlite:///{tmp_path}/s.db"}
    for folder in both:
        folder.mkdir()
    with ThreadPoolExecutor() as pool:  # of processes: each thread starts one
        starts = [pool.submit(Served, folder, "--demo", terminal=True, **store) for folder in both]
        served = [start.result() for start in starts]
    with served[0], served[1]:
        keys = [re.findall(r"first key  (sk-\S+)", one.banner) for one in served]
    assert sorted(map(len, keys)) == [0, 1]
    with sqlite3.connect(tmp_path / "s.db") as connection:
        assert connection.execute("SELECT count(*) FROM keys").fetchone() == (1,)


def test_a_demonstration_has_data_of_its_own(tmp_path):
    (tmp_path / ".env").write_text(
        "STORE_URL=sqlite:///mine.db\nJOURNAL_DIR=mine\nLIMITS_URL=redis://127.0.0.1:9/0\n"
    )
    command = [sys.executable, "-m", "anthropic_bedrock_proxy", "keys", "create", "--name", "a"]
    made = subprocess.run(
        [*command, "--json"],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        check=True,
    )
    before = (tmp_path / "mine.db").read_bytes()
    with Served(tmp_path, "--demo", terminal=True) as served:
        assert "data       sqlite:///data/demo/proxy.db, journal data/demo/journal" in served.banner
        (curl,) = re.findall(r"^  (curl .*)$", served.banner, re.MULTILINE)
        assert paste(curl)["type"] == "message"
        key = re.search(r"first key  (sk-\S+)", served.banner)[1]
        with pytest.raises(urllib.error.HTTPError, match="401"):
            paste(curl.replace(key, json.loads(made.stdout)["key"]))
    assert (tmp_path / "mine.db").read_bytes() == before
    assert not (tmp_path / "mine").exists()


def test_a_demonstration_calls_no_provider_that_is_stored(tmp_path):
    """Not even where its store is one that the environment names."""
    store = {"STORE_URL": "sqlite:///s.db", "PROVIDER_KEY_ENCRYPTION_SECRET": "of-the-tests" * 4}
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.setblocking(False)
        url = f"http://127.0.0.1:{trap.getsockname()[1]}"
        command = [sys.executable, "-m", "anthropic_bedrock_proxy"]
        added = (
            f"providers add trap --region us-east-1 --endpoint-url {url} "
            f"--mantle-endpoint-url {url}"
        )
        for words in (added, "keys create --name a --provider trap --json"):
            made = subprocess.run(
                [*command, *words.split()],
                cwd=tmp_path,
                env=environment(tmp_path, **store),
                capture_output=True,
                check=True,
            )
        with Served(tmp_path, "--demo", **store) as served:
            (curl,) = re.findall(r"^  (curl .*)$", served.banner, re.MULTILINE)
            with pytest.raises(urllib.error.HTTPError) as refused:
                paste(curl.replace("$PROXY_KEY", json.loads(made.stdout)["key"]))
            refused.value.close()
        with pytest.raises(BlockingIOError):
            trap.accept()


def test_a_demonstration_leaves_what_an_installation_has_alone(tmp_path):
    """What `.env` names: executors, collectors, lists to sync, logs. A trap stands for them all."""
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.setblocking(False)
        place = f"127.0.0.1:{trap.getsockname()[1]}"
        theirs = {
            "SANDBOX_URL": f"http://{place}",
            "SANDBOX_TOKEN": "of-the-tests" * 4,
            "SANDBOX_NAME": "theirs",
            "ENABLE_STANDALONE_CODE_EXECUTION": "true",
            "ENABLE_TRACING": "true",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{place}",
            "LIMITS_URL": f"redis://{place}/0",
            "PRICING_SYNC_ENABLED": "true",
            "PRICING_SYNC_URL": f"https://{place}/prices",
            "MODEL_MAPPING_SYNC_ENABLED": "true",
            "MODEL_MAPPING_SYNC_URL": f"https://{place}/names",
            "LOG_OUTPUT": str(tmp_path / "theirs.log"),
            "AWS_PROFILE": "theirs",
        }
        lines = [f"{name}={value}\n" for name, value in theirs.items()]
        (tmp_path / ".env").write_text("".join(lines))
        with Served(tmp_path, "--demo", terminal=True) as served:
            (curl,) = re.findall(r"^  (curl .*)$", served.banner, re.MULTILINE)
            assert paste(curl)["type"] == "message"
        with pytest.raises(BlockingIOError):
            trap.accept()
    assert not (tmp_path / "theirs.log").exists()


def test_without_its_tables_it_refuses_to_start(tmp_path):
    store = {
        "STORE_URL": "dynamodb://",
        "DYNAMODB_ENDPOINT_URL": server("moto"),
        "DYNAMODB_API_KEYS_TABLE": "nobody-made-this",
        "MASTER_API_KEY": "sk-m",
    }
    done = subprocess.run(
        [sys.executable, "-m", "anthropic_bedrock_proxy", "serve", "--demo", "--port", "0"],
        cwd=tmp_path,
        env=environment(tmp_path, **store),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: the store cannot be used: DynamoDB has no table nobody-")
    assert "`anthropic-bedrock-proxy tables create` makes what is missing" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_store_that_other_processes_do_not_see_needs_the_master_key(tmp_path):
    with Served(tmp_path, "--demo", STORE_URL="memory://") as served:
        assert "API keys   none yet: set MASTER_API_KEY" in served.banner


def test_without_required_keys_none_is_made(tmp_path):
    with Served(tmp_path, "--demo", terminal=True, REQUIRE_API_KEY="False") as served:
        assert "first key" not in served.banner
        (curl,) = re.findall(r"^  (curl .*)$", served.banner, re.MULTILINE)
        assert paste(curl)["role"] == "assistant"


def test_real_credentials_are_named_in_the_banner(tmp_path):
    endpoint = {"BEDROCK_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_BEARER_TOKEN_BEDROCK": "t"}
    with Served(tmp_path, "--demo-without-aws", **endpoint) as served:
        assert "http://127.0.0.1:9, region us-east-1" in served.banner
        assert "credentials: AWS_BEARER_TOKEN_BEDROCK" in served.banner
        assert "demo" not in served.banner


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"PORT": "x"}, "PORT"),
        ({"STORE_URL": "nowhere://"}, "STORE_URL"),
        ({"TRUSTED_PROXIES": "10.0.0.0/33"}, "TRUSTED_PROXIES"),
        ({"STORE_URL": "dynamodb://"}, "does not reach AWS"),
        ({"STORE_URL": "sqlite:////proc/nowhere/x.db"}, "its folder /proc/nowhere is not there"),
        ({"MASTER_API_KEY": "sk-dev-master-key", "HOST": "0.0.0.0"}, "Set a key of your own"),
        ({"DOCS_URL": "/openapi.json"}, "DOCS_URL and OPENAPI_URL need different paths"),
        *(
            (
                {"CORS_ORIGINS": origins, "CORS_ALLOW_CREDENTIALS": "true"},
                "CORS_ALLOW_CREDENTIALS with CORS_ORIGINS=*: any page could act for whoever visits",
            )
            for origins in ("*", "https://app.example,*")
        ),
    ],
)
def test_what_is_wrong_is_said_without_a_trace(tmp_path, extra, message):
    done = subprocess.run(
        [sys.executable, "-m", "anthropic_bedrock_proxy", "serve", "--demo"],
        cwd=tmp_path,
        env=environment(tmp_path, **({"PORT": "0"} | extra)),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_store_that_does_not_answer_does_not_keep_it_from_serving(tmp_path):
    store = {"STORE_URL": "dynamodb://", "DYNAMODB_ENDPOINT_URL": "http://127.0.0.1:9"}
    with Served(tmp_path, "--demo", MASTER_API_KEY="sk-m", JOURNAL_DIR="j", **store) as served:
        url = re.search(r"http://127\.0\.0\.1:\d+", served.banner)[0]
        body = {"model": "claude-haiku-4-5", "max_tokens": 9, "messages": []}
        body["messages"].append({"role": "user", "content": "hi"})
        request = urllib.request.Request(
            f"{url}/v1/messages", json.dumps(body).encode(), {"x-api-key": "sk-m"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 200, "the master key needs no store"
        assert "the store does not answer yet: " in served.err.read_text()


def test_the_root_command():
    help_page = CliRunner().invoke(cli, ["--help"]).stdout
    for name in COMMANDS:
        assert name in help_page
    assert __version__ in CliRunner().invoke(cli, ["--version"]).stdout
    mistyped = CliRunner().invoke(cli, ["keyz"])
    assert mistyped.exit_code == 2
    assert "No such command 'keyz'. Did you mean 'keys'?" in mistyped.stderr
    assert "Did you mean 'list'?" in CliRunner().invoke(cli, ["keys", "lst"]).stderr
    assert "Did you mean '--json'?" in CliRunner().invoke(cli, ["keys", "list", "--jsn"]).stderr
    assert CliRunner().invoke(cli, ["--nothing"]).exit_code == 2


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("ke", "keys"), ("keys re", "revoke"), ("serve --demo-", "--demo-without-aws")],
)
def test_shells_complete_commands_and_options(tmp_path, typed, offered):
    for shell in ("bash", "zsh", "fish"):
        words = f"anthropic-bedrock-proxy {typed}"
        asked = {
            "_ANTHROPIC_BEDROCK_PROXY_COMPLETE": f"{shell}_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": typed.rpartition(" ")[2] if shell == "fish" else str(words.count(" ")),
        }
        program = Path(sys.executable).with_name("anthropic-bedrock-proxy")
        done = subprocess.run(
            [program],
            env=environment(tmp_path, **asked),
            capture_output=True,
            text=True,
            check=True,
        )
        assert offered in re.split(r"[,\n\t ]", done.stdout)


def test_the_module_runs_like_the_command(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "anthropic_bedrock_proxy", "--version"],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert __version__ in done.stdout
    assert Path(tmp_path, "data").exists() is False


def test_a_certificate_that_cannot_be_used_is_said_at_the_start(tmp_path):
    (tmp_path / "no.pem").write_text("no certificate")
    files = {"TLS_CERT_FILE": "no.pem", "TLS_KEY_FILE": "no.pem"}
    done = subprocess.run(
        [sys.executable, "-m", "anthropic_bedrock_proxy", "serve", "--demo", "--port", "0"],
        env=environment(tmp_path) | files | {"WORKERS": "2"},
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: TLS_CERT_FILE and TLS_KEY_FILE cannot be used")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("given", "form"), [({}, "text"), ({"LOG_FORMAT": "json"}, "json")])
def test_who_reads_along_gets_lines_for_people(tmp_path, given, form):
    with Served(tmp_path, "--demo", terminal=True, LOG_OUTPUT="stdout", **given) as served:
        (curl,) = re.findall(r"^  (curl .*)$", served.banner, re.MULTILINE)
        paste(curl)
        deadline = time.monotonic() + 10
        while "POST /v1/messages" not in served.banner.rpartition(" claude\n")[2]:
            assert time.monotonic() < deadline
            time.sleep(0.02)
            served.banner = served.printed()
        line = served.banner.rpartition(" claude\n")[2]
    assert line.lstrip().startswith("{") == (form == "json")
