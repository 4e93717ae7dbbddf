"""A file of the journal: no line is lost, changed or read twice."""

from __future__ import annotations

import fcntl
import io
import os
import resource
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journals import drain, errors, line, record, segments

from anthropic_bedrock_proxy.store.base.usage import UsageRecord
from anthropic_bedrock_proxy.store.journal import Journal
from anthropic_bedrock_proxy.store.memory.store import MemoryStore
from anthropic_bedrock_proxy.store.segment import Name, Segment, decode, encode


def unchecked(identity: object, **fields) -> bytes:
    """As the version before wrote it."""
    return msgspec.json.encode(record(identity, **fields)) + b"\n"


@settings(max_examples=60, deadline=None)
@given(data=st.data(), count=st.integers(1, 5))
def test_any_cut_of_the_tail_loses_at_most_the_torn_record(data, count):
    whole = b"".join(line(number, model="modèle") for number in range(count))
    cut = data.draw(st.integers(0, len(whole)))
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "usage-1-dead.jsonl"
        path.write_bytes(whole[:cut])
        store = MemoryStore()
        drain(Journal(Path(name)), store)
        # A line that only lacks its end is whole.
        complete = (whole[:cut] + b"\n").count(b"}\n")
        assert set(store.usage.by_id) == {str(number) for number in range(complete)}
        rest = whole[:cut].split(b"\n")[complete:]
        aside = path.with_suffix(".jsonl.corrupt")
        assert (aside.read_bytes() if aside.exists() else b"").strip() == b"".join(rest).strip()
        assert not path.exists()


@settings(max_examples=60, deadline=None)
@given(junk=st.lists(st.binary(max_size=40).map(lambda b: b.replace(b"\n", b"")), max_size=4))
def test_corrupt_lines_are_set_aside_and_block_nothing(junk):
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "usage-1-dead.jsonl"
        path.write_bytes(b"".join(j + b"\n" + line(n) for n, j in enumerate(junk)) + line("end"))
        store = MemoryStore()
        drain(Journal(Path(name)), store)
        assert set(store.usage.by_id) == {str(n) for n in range(len(junk))} | {"end"}
        aside = path.with_suffix(".jsonl.corrupt")
        kept = aside.read_bytes() if aside.exists() else b""
        assert kept == b"".join(j + b"\n" for j in junk)


def test_numbers_that_no_store_can_hold_are_set_aside(tmp_path, store, caplog):
    path = tmp_path / "usage-1-dead.jsonl"
    path.write_bytes(line("1") + line("2", input_tokens=2**63) + line("3"))
    assert drain(Journal(tmp_path), store) == 2
    assert path.with_suffix(".jsonl.corrupt").read_bytes() == line("2", input_tokens=2**63)
    assert "1 lines hold no usage record" in errors(caplog)[0]


def test_no_flipped_bit_changes_a_record():
    """JSON may still be JSON with another bit: another price, key or day."""
    records = [record(n, key_id="key_a", input_tokens=1234, cost_nano=5678) for n in range(3)]
    before, struck, after = map(encode, records)
    for bit in range(len(struck) * 8):
        flipped = bytearray(struck)
        flipped[bit // 8] ^= 1 << bit % 8
        content = before + flipped + after
        found, corrupt = decode(list(io.BytesIO(content)))  # as a file is cut
        assert records[0] in found
        assert all(one in records for one in found), bytes(flipped)
        assert len(found) == 3 or corrupt, bytes(flipped)


def test_lines_of_the_version_before_are_read_and_it_reads_ours(tmp_path, store):
    full = {"input_tokens": 7, "cost_nano": 9, "error": "api_error"}
    (tmp_path / "usage-1-dead.jsonl").write_bytes(
        unchecked("1", **full) + line("2", **full) + unchecked("3")[:-1]
    )
    assert drain(Journal(tmp_path), store) == 3
    assert store.usage.by_id == {
        "1": record("1", **full), "2": record("2", **full), "3": record("3")
    }  # fmt: skip
    assert msgspec.json.decode(line("2", **full), type=UsageRecord) == record("2", **full)


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="a file that refuses to be cut: Linux")
def test_white_box_nothing_is_written_behind_a_torn_line(tmp_path, store):
    journal = Journal(tmp_path)
    stubborn = os.memfd_create("segment", os.MFD_ALLOW_SEALING)
    fcntl.fcntl(stubborn, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
    journal._active = Segment(tmp_path / "usage-1-stubborn.jsonl", stubborn)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50, hard))
    try:
        journal.append(record("1"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    journal.append(record("2"))
    assert segments(tmp_path)[0].read_bytes() == line("2")
    assert drain(journal, store) == 2


def test_white_box_a_lock_on_a_name_that_is_gone_is_no_lock(tmp_path):
    segment = Segment.create(tmp_path, Name("w", 1))
    late = os.open(segment.path, os.O_RDWR)
    segment.discard()
    segment.close()
    assert Segment._lock(segment.path, late) is None
    with pytest.raises(FileNotFoundError):
        Segment.adopt(segment.path)
