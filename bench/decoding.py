"""In-process: what one stream event costs without any I/O, from AWS frame to SSE bytes.

One frame a chunk, as a model that talks sends them; the best case (many frames a chunk) is cheaper.
"""

from __future__ import annotations

from statistics import median
from time import perf_counter
from typing import Final

from anthropic_bedrock_proxy.http.anthropic.encoder import ServerSentEvents
from anthropic_bedrock_proxy.protocol.native.answer import InvokeStream

from . import work

SSE = ServerSentEvents()

_DELTAS: Final = 2000
_ROUNDS: Final = 9


def microseconds_per_event() -> float:
    """The median of a few rounds."""
    frames = work.frames(_DELTAS)
    times = []
    for _ in range(_ROUNDS):
        stream = InvokeStream(work.MODEL)
        began = perf_counter()
        for frame in frames:
            SSE.events(stream.receive(frame))
        times.append((perf_counter() - began) / len(frames) * 1e6)
        if not stream.finished or stream.failure is not None:
            raise RuntimeError(f"the stream was not decoded: {stream.failure}")
    return median(times)
