"""`top` on a terminal, in front of a real proxy."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import time

from servers import PYTHON


def listen_to_ctrl_c():
    """Whoever runs tests in the background has it ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_it_is_drawn_until_ctrl_c(start):
    proxy = start(METRICS_TOKEN="t")
    command = [PYTHON, "-m", "anthropic_bedrock_proxy", "top", "--url", proxy.url]
    refused = subprocess.run(
        [*command, "--json", "--token", "no"],
        env=proxy.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 1
    assert "401 (--token, or METRICS_TOKEN)" in refused.stderr
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*command, "--interval", "1"],  # it has the token from the settings
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**proxy.environment, "TERM": "xterm", "COLUMNS": "100", "LINES": "30"},
        preexec_fn=listen_to_ctrl_c,  # noqa: PLW1509  # no thread runs here
    )
    os.close(slave)
    text, deadline = b"", time.monotonic() + 20
    while text.count(b"workers") < 2 and time.monotonic() < deadline:
        if select.select([master], [], [], 0.1)[0]:
            text += os.read(master, 65536)
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 0
    os.close(master)
    assert re.search(rb"workers.{1,20} 1", text)
