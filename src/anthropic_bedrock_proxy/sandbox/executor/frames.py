r"""The lines between executor and runner: docs/reference/sandbox-protocol.md. Pure.

Nothing that a runner writes is believed. `FrameReader` takes its bytes however they were split and
gives frames of known form; anything else raises `RunnerLineError`, which ends the sandbox:

    reader = FrameReader()
    reader.feed(b'{"type": "stored", ')  -> []
    reader.feed(b'"id": 7}\n')           -> [StoredFrame(id=7)]
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

MAX_LINE_BYTES: Final = 16 * 1024 * 1024
MAX_END_BYTES: Final = 4 * 1024 * 1024  # of a line that ends a cell: outcomes are kept
MAX_CALLS: Final = 1000
MAX_FILES: Final = 20


class RunnerLineError(Exception):
    """Bytes that no honest runner writes."""


class _ToRunner(msgspec.Struct, frozen=True, tag_field="type"):
    pass


class StartFrame(_ToRunner, frozen=True, tag="start"):
    """The first line: where the runner works, and how much it may say."""

    workspace: str
    max_output: int
    max_file: int


class RunPythonFrame(_ToRunner, frozen=True, tag="run"):
    """A Python cell."""

    id: int
    code: str
    functions: list[str]
    seconds: float
    call_seconds: float
    kind: str = "python"


class RunBashFrame(_ToRunner, frozen=True, tag="run"):
    """A bash cell."""

    id: int
    command: str
    restart: bool
    seconds: float
    kind: str = "bash"


class RunEditFrame(_ToRunner, frozen=True, tag="run"):
    """A cell of the text editor."""

    id: int
    input: dict[str, Any]
    kind: str = "edit"


class ResultFrame(_ToRunner, frozen=True, tag="result"):
    """The result of one function call."""

    id: int
    call: int
    text: str


class PutFrame(_ToRunner, frozen=True, tag="put"):
    """A piece of a file for the workspace."""

    id: int
    name: str
    data: bytes
    last: bool


class GetFrame(_ToRunner, frozen=True, tag="get"):
    """A request for a file that a cell left."""

    id: int
    path: str


ToRunner = (
    StartFrame | RunPythonFrame | RunBashFrame | RunEditFrame | ResultFrame | PutFrame | GetFrame
)


class _FromRunner(msgspec.Struct, frozen=True, tag_field="type"):
    pass


class ReadyFrame(_FromRunner, frozen=True, tag="ready"):
    """The answer to `start`."""

    python: str
    hardened: bool


class ToldCall(msgspec.Struct, frozen=True):
    """A function call as the runner tells it, under a number of the runner's."""

    call: int
    name: str
    input: dict[str, Any]


class CallsFrame(_FromRunner, frozen=True, tag="calls"):
    """Calls that were not told yet: all code of the cell waits."""

    id: int
    calls: list[ToldCall]


class LeftFile(msgspec.Struct, frozen=True):
    """A file that a cell left in its `$OUTPUT_DIR`."""

    path: str
    name: str
    size: int


class DoneFrame(_FromRunner, frozen=True, tag="done"):
    """The end of a Python or bash cell."""

    id: int
    stdout: str
    stderr: str
    return_code: int
    timed_out: bool = False
    files: list[LeftFile] = []


class EditedFrame(_FromRunner, frozen=True, tag="edited"):
    """The end of a cell of the text editor."""

    id: int
    kind: str
    result: dict[str, Any]


class FailedFrame(_FromRunner, frozen=True, tag="failed"):
    """The end of a cell or transfer that came to nothing."""

    id: int
    error_code: str
    message: str = ""


class StoredFrame(_FromRunner, frozen=True, tag="stored"):
    """The answer to the last `put` of a file."""

    id: int


class DataFrame(_FromRunner, frozen=True, tag="data"):
    """A piece of the answer to `get`."""

    id: int
    data: bytes
    last: bool


FromRunner = (
    ReadyFrame | CallsFrame | DoneFrame | EditedFrame | FailedFrame | StoredFrame | DataFrame
)
_ENDS = (DoneFrame, EditedFrame, FailedFrame)
_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[FromRunner] = msgspec.json.Decoder(FromRunner)


def encode_frame(frame: ToRunner) -> bytes:
    """Returns the line of a frame. Raises `RunnerLineError` if it is too long, or no JSON.

    Both are faults of what a client has sent, not of the runner.
    """
    try:
        line = _encoder.encode(frame) + b"\n"
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:  # lone surrogates, depth
        raise RunnerLineError(f"it cannot be written as JSON: {error}") from None
    if len(line) > MAX_LINE_BYTES:
        raise RunnerLineError(f"it is over {MAX_LINE_BYTES} bytes")
    return line


class FrameReader:
    """The runner's bytes on their way to frames."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self.completed = 0  # bytes of the lines that were given last
        self._searched = 0  # bytes of the rest in which there is no newline

    def feed(self, data: bytes) -> list[FromRunner]:
        """Returns the frames that `data` completes. Raises `RunnerLineError`."""
        self._rest += data
        frames: list[FromRunner] = []
        begin = 0
        while (end := self._rest.find(b"\n", max(begin, self._searched))) >= 0:
            frames.append(_decode(bytes(self._rest[begin:end])))
            begin = end + 1
        del self._rest[:begin]
        self.completed = begin
        self._searched = len(self._rest)
        if self._searched > MAX_LINE_BYTES:
            raise RunnerLineError("a line is too long")
        return frames


def _decode(line: bytes) -> FromRunner:
    if len(line) > MAX_LINE_BYTES:
        raise RunnerLineError("a line is too long")
    try:
        frame = _decoder.decode(line)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise RunnerLineError("a line is of no known form") from None
    if isinstance(frame, _ENDS) and len(line) > MAX_END_BYTES:
        raise RunnerLineError("the end of a cell is too long")
    if isinstance(frame, CallsFrame) and not 0 < len(frame.calls) <= MAX_CALLS:
        raise RunnerLineError("a line has no calls, or too many")
    if isinstance(frame, DoneFrame) and len(frame.files) > MAX_FILES:
        raise RunnerLineError("a cell left too many files")
    return frame
