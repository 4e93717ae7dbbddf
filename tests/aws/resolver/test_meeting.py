"""The lock that says which process starts the one that looks up credentials."""

from __future__ import annotations

import os
import sys
import tempfile

import pytest

from anthropic_bedrock_proxy.aws.resolver.meeting import Meeting


def test_the_lock_needs_neither_a_file_system_nor_a_new_libc(monkeypatch):
    if sys.platform != "linux":
        pytest.skip("elsewhere a temporary file is locked")
    monkeypatch.delattr(os, "memfd_create", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    meeting = Meeting()
    assert meeting.try_lock()
    pid = os.fork()
    if pid == 0:
        os._exit(meeting.try_lock())
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    meeting.unlock()
