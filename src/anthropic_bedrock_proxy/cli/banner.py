"""The words of `serve` for a person: where it listens, what it talks to, what to paste."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from .. import __version__
from ..config import Settings
from ..config.load import DEFAULT
from ..process.listening import address
from ..process.standard import folded
from .demo import has_own_store

_MODEL = "claude-haiku-4-5"
KEY_VARIABLE = "PROXY_KEY"  # not one of Anthropic's: Claude Code would ask which key to use
_INDENT = " " * 13  # of what follows the first line of a sentence
_OWN_DATA = "             Its keys and usage are its own: those of your store are not here."
PUBLISHED_KEY = "sk-dev-master-key"  # in the predecessor's .env.example
_SAMPLE = re.compile(r"(?i)change|replace|your|example|sample|1234|(?:secret|test|master)-?key")


def banner(
    settings: Settings,
    host: str,
    port: int,
    upstream: str,
    credentials: str | None,
    *,
    first_key: str | None,
    keyless: bool,
    notes: Sequence[str] = (),
    width: int | None = None,
) -> str:
    """Returns the text; `first_key` is a secret that was made just now and is shown only here.

    `keyless`: the store has no key, and none was made. `notes` are more lines for the operator.
    Sentences are folded for a terminal of that `width`; what is to be pasted is not.
    """
    listening, url, to_socket = _addresses(settings, host, port)
    key = first_key or ("any-key" if not settings.auth.require_api_key else "")
    shown = key or f"${KEY_VARIABLE}"
    source = f", credentials: {credentials}" if credentials else ""
    body = (
        f'{{"model": "{_MODEL}", "max_tokens": 100, '
        '"messages": [{"role": "user", "content": "Hello"}]}'
    )
    # In double quotes, in which a shell puts the value of a variable.
    curl = (
        f'curl {to_socket}{url}/v1/messages -H "x-api-key: {shown}" '
        "-H 'content-type: application/json' -H 'anthropic-version: 2023-06-01'"
    )
    lines = [
        f"anthropic-bedrock-proxy {__version__}",
        f"  listening  {listening}",
        f"  upstream   {upstream}, region {settings.aws.region}{_whence(settings)}{source}",
        f"  data       {settings.store.url}, journal {settings.store.journal_path}",
    ]
    lines.append(f"  pages      {_pages(settings, url)}")
    lines.append(
        f"  commands   {_program()} doctor, top, explain REQUEST_ID, keys, usage; --help names all"
    )
    lines += [
        f"  note       {warning}"
        for warning in (*settings.warnings, *notes, *_unsafe(settings, host))
    ]
    if settings.no_effect:
        names = ", ".join(one.name for one in settings.no_effect)
        lines.append(f"  note       without effect here (`config` says why): {names}")
    if credentials is None:
        lines.append(
            "  demo       No AWS credentials are in use: answers come from the simulator. Set "
            'AWS_REGION and credentials (README, "Connect to AWS") for real ones.'
        )
        if has_own_store(settings):
            lines.append(_OWN_DATA)
    if width is not None:
        columns = max(width, 2 * len(_INDENT))
        lines = [part for line in lines for part in folded(line, columns, _INDENT)]
    if first_key:
        lines.append(f"  first key  {first_key}   (shown only now; keep it)")
    if not key:
        whence = f"none yet: {_how_to_make_one(settings)}" if keyless else _whose(settings)
        lines += [
            f"  API keys   {whence}",
            f"             Then, for the lines below: export {KEY_VARIABLE}=the key",
        ]
    lines += ["", "curl:", f"  {curl} -d '{body}'"]
    in_python = repr(key) if key else f'os.environ["{KEY_VARIABLE}"]'
    if not to_socket:  # on a Unix socket clients need more than a URL
        lines += [
            "Python (pip install anthropic):",
            f"  anthropic.Anthropic(base_url={url!r}, api_key={in_python})",
            "Claude Code:",
            f"  ANTHROPIC_BASE_URL={url} ANTHROPIC_AUTH_TOKEN={shown} claude",
        ]
    return "\n".join(lines)


def is_near(host: str) -> bool:
    """Tells whether nobody but this machine reaches an address that is listened on."""
    return host.startswith(("unix://", "127.", "localhost")) or host == "::1"


def _unsafe(settings: Settings, host: str) -> list[str]:
    """Lists the choices that let strangers in."""
    auth, found = settings.auth, []
    if auth.master_api_key and _SAMPLE.search(auth.master_api_key):
        found.append(
            "MASTER_API_KEY looks like a sample that anybody may know: make one of your own"
        )
    if not auth.require_api_key and not is_near(host):
        found.append(f"whoever reaches {host} may call models at your cost: REQUIRE_API_KEY is off")
    return found


def _whence(settings: Settings) -> str:
    origin = settings.sources.get("AWS_REGION", DEFAULT)
    return " (the default: set AWS_REGION)" if origin == DEFAULT else f" (from {origin})"


def _pages(settings: Settings, url: str) -> str:
    """Returns what a person, or Prometheus, may look at first."""
    server = settings.server
    pages = ["/health", "/ready"]
    if server.docs_path and server.openapi_path:
        pages.insert(0, f"{server.docs_path} (the API)")
    if settings.telemetry.enable_metrics:
        pages.append("/metrics")
    return f"{url}{', '.join(pages)}"


def _whose(settings: Settings) -> str:
    """Returns where somebody gets a key who has none at hand."""
    if settings.store.url.startswith("memory:"):
        return "the one of MASTER_API_KEY"
    return f"one that you have, or a new one: {_how_to_make_one(settings)}"


def _program() -> str:
    """Returns what somebody types in this folder for the command."""
    program = sys.argv[0]
    if program.endswith("__main__.py"):
        return f"{sys.executable} -m anthropic_bedrock_proxy"
    return Path(program).name if shutil.which(Path(program).name) == program else program


def _how_to_make_one(settings: Settings) -> str:
    if settings.store.url.startswith("memory:"):  # which other processes do not see
        return "set MASTER_API_KEY"
    # Commands take the store of a demonstration only where there is no other.
    prefix = f"STORE_URL={settings.store.url} " if has_own_store(settings) else ""
    return f"{prefix}{_program()} keys create --name NAME"


def _addresses(settings: Settings, host: str, port: int) -> tuple[str, str, str]:
    """Returns the address served, the URL for clients on this machine, and curl's option for it."""
    scheme = "http" if settings.server.tls_certificate is None else "https"
    if host.startswith("unix://"):
        return host, f"{scheme}://localhost", f"--unix-socket {host.removeprefix('unix://')} "
    near = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    # The % before a zone (fe80::1%eth0) is escaped in URLs: RFC 6874.
    near = address(near.replace("%", "%25"), port)
    return f"{scheme}://{address(host, port)}", f"{scheme}://{near}", ""
