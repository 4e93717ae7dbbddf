from __future__ import annotations

import io

import pytest

from anthropic_bedrock_proxy.fetch.reading.frames import frame, read_frame


def test_frames_are_read_as_they_were_written():
    stream = io.BytesIO(frame(b"one") + frame(b"") + frame(b"x" * 70_000))
    assert [read_frame(stream) for _ in range(4)] == [b"one", b"", b"x" * 70_000, None]


@pytest.mark.parametrize("cut", range(7))
def test_a_cut_frame_is_none(cut):
    assert read_frame(io.BytesIO(frame(b"one")[:cut])) is None
