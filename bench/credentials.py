"""Start-up and memory by source of AWS credentials: `python -m bench.credentials`.

Each source is a fake on this machine that answers at once. Told are medians, from the spawn to the
first 200 of /health and of a message, and the memory (PSS) of everything but, and of, the process
that looks up credentials.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

sys.path[:0] = [str(Path(__file__).parents[1] / "tests" / "support")]

from credential_cases import EXPIRING, STATIC  # noqa: E402  # from the path above
from fakeaws import FakeAWS  # noqa: E402

from .processes import pss_mb, stop_children_on_exit, tree  # noqa: E402  # after the path
from .proxy import Proxy, health_target, wait_for_200  # noqa: E402  # as above
from .upstream import running  # noqa: E402  # as above

_ROUNDS = 5
_HOUR = 3600.0


def main() -> None:
    """Prints the table."""
    stop_children_on_exit()
    print("source                health  message   proxy  look-ups")
    print("                          ms       ms      MB        MB")
    with tempfile.TemporaryDirectory() as folder, running() as upstream:
        for name in ("keys", "bearer token", "file", *EXPIRING):
            if name != "role of a place":  # its keys come from a setting, not from the environment
                _measure(name, Path(folder) / name.replace(" ", "-"), upstream.port)


def _measure(name: str, home: Path, port: int) -> None:
    home.mkdir()
    with FakeAWS() as aws:
        aws.lifetime = _HOUR
        proxy = Proxy(home, port, environ=_environ(name, home, aws))
        health, message, memory = [], [], []
        for _ in range(_ROUNDS + 1):
            began = perf_counter()
            with proxy.running(1):
                wait_for_200(health_target(proxy.port))
                health.append((perf_counter() - began) * 1000)
                wait_for_200(proxy.target())
                message.append((perf_counter() - began) * 1000)
                looking = [pid for pid in tree(proxy.pid) if _looks_up(pid)]
                memory.append((pss_mb(proxy.pid), sum(map(pss_mb, looking))))
    everything, look_ups = map(median, zip(*memory[1:], strict=True))
    print(
        f"{name:20} {median(health[1:]):7.0f} {median(message[1:]):8.0f} "
        f"{everything - look_ups:7.1f} {look_ups:9.1f}",
        flush=True,
    )


def _environ(name: str, home: Path, aws: FakeAWS) -> dict[str, str]:
    none = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    if name == "keys":
        return {}
    if name == "bearer token":
        return {**none, "AWS_BEARER_TOKEN_BEDROCK": "token"}
    if name == "file":
        (home / ".aws").mkdir()
        (home / ".aws" / "credentials").write_text(f"[default]\n{STATIC}")
        return none
    origin = EXPIRING[name](home, aws)
    origin.set_mode("ok")
    profile = {"AWS_PROFILE": origin.identity.profile} if origin.identity.profile else {}
    return {**none, **origin.environ, **profile}


def _looks_up(pid: int) -> bool:
    return b"resolver.child" in Path(f"/proc/{pid}/cmdline").read_bytes()


if __name__ == "__main__":
    main()
