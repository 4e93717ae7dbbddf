"""Files on their way between the spool and a runner."""

from __future__ import annotations

import asyncio
import mimetypes
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from ..base import Failed, OutputFile
from ..wire import is_filename
from .cell_run import failed
from .frames import DataFrame, FailedFrame, GetFrame, LeftFile, PutFrame, StoredFrame
from .runner_link import RunnerLink
from .spool import FileMissingError, FileTooLargeError, Spool, SpoolFullError

PIECE_BYTES: Final = 1024 * 1024
FETCH_SECONDS: Final = 120.0  # for all files of a cell
_SECONDS: Final = 30.0  # for a piece


async def bring_in(
    link: RunnerLink, spool: Spool, owner: str, files: Iterable[str], there: set[str]
) -> Failed | None:
    """Puts files into the workspace, those that are not `there` yet; returns a failure.

    Raises `RunnerEndedError`.
    """
    for name in files:
        if name in there:
            continue
        try:
            filename = spool.find(owner, name).filename
            file = spool.open(owner, name)
        except FileMissingError:
            return Failed("file_not_found", f"There is no file {name}.")
        with file:
            number = link.begin()
            piece = file.read(PIECE_BYTES)
            while True:
                following = file.read(PIECE_BYTES)
                await link.send(PutFrame(number, filename, piece, last=not following))
                if not following:
                    break
                piece = following
        frame = await link.receive(_SECONDS)
        link.finish()
        if isinstance(frame, FailedFrame):
            return failed(frame)
        if not isinstance(frame, StoredFrame):
            raise await link.end("its runner broke the protocol: a file was not stored")
        there.add(name)
    return None


async def fetch(
    link: RunnerLink,
    spool: Spool,
    owner: str,
    left: Iterable[LeftFile],
    *,
    too_large_fails: bool = False,
    seconds: float = FETCH_SECONDS,
) -> tuple[list[OutputFile], list[str]] | Failed:
    """Gets the files that a cell left into the spool, in so many `seconds`.

    Returns them, and a line for each that could not be had. `too_large_fails` makes the failure of
    the cell of one that is too large: there is an error code for it, but only bash has it; then
    none of its files is kept. Raises `RunnerEndedError`.
    """
    try:
        async with asyncio.timeout(seconds):
            files, missing, failure = await _fetch(link, spool, owner, left, too_large_fails)
    except TimeoutError:
        raise await link.end("its runner did not send its files in time") from None
    if failure is None:
        return files, missing
    for file in files:
        with suppress(FileMissingError):
            spool.remove(owner, file.id)
    return failure


async def _fetch(
    link: RunnerLink, spool: Spool, owner: str, left: Iterable[LeftFile], too_large_fails: bool
) -> tuple[list[OutputFile], list[str], Failed | None]:
    files: list[OutputFile] = []
    missing: list[str] = []
    for one in left:
        if not is_filename(one.name):
            missing.append("A file was left out: its name cannot be used.")
            continue
        match await _fetch_one(link, spool, owner, one):
            case OutputFile() as file:
                files.append(file)
            case Failed("output_file_too_large") as failure if too_large_fails:
                return files, missing, failure
            case Failed() as failure:
                missing.append(f"{one.name} was left out: {failure.message}")
            case str(line):
                missing.append(line)
    return files, missing, None


async def _fetch_one(
    link: RunnerLink, spool: Spool, owner: str, left: LeftFile
) -> OutputFile | Failed | str:
    try:
        file = spool.begin(owner)
    except SpoolFullError as error:
        return f"{left.name} was left out: {error}."
    problem = ""
    number = link.begin()
    kept = False
    try:
        await link.send(GetFrame(number, left.path))
        while True:
            frame = await link.receive(_SECONDS)
            if isinstance(frame, FailedFrame):
                link.finish()
                return failed(frame)
            if not isinstance(frame, DataFrame) or not (frame.data or frame.last):
                raise await link.end("its runner broke the protocol: no piece of a file")
            if not problem:
                try:
                    file.write(frame.data)
                except SpoolFullError as error:
                    problem = f"{left.name} was left out: {error}."
                except FileTooLargeError:  # more than it had said that it would send
                    raise await link.end("its runner sent a file that is too large") from None
            if frame.last:
                break
        link.finish()
        if problem:
            return problem
        mime_type = mimetypes.guess_type(left.name)[0] or "application/octet-stream"
        record = file.finish(left.name, mime_type, downloadable=True)
        kept = True
        return OutputFile(record.id, record.filename, record.size_bytes)
    finally:
        if not kept:
            file.drop()
