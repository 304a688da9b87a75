"""One transaction through psql: scripts of ours, and between them what pg_restore writes."""

from __future__ import annotations

import contextlib
import re
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Sequence

from agent.edges.pgtools_process import Program

_PIECE = 1 << 18
_NEWER_SETTINGS = re.compile(rb"^SET transaction_timeout = 0;\n", re.MULTILINE)  # unknown to servers before 17
_COPY = re.compile(rb'^COPY (?:[^\n"]|"[^"]*")+ FROM stdin(?=;\n)', re.MULTILINE)  # names may hold line breaks
_MAY_BE_COPY = re.compile(rb"^COPY ", re.MULTILINE)
_NO_PATH = b"set_config('search_path', '', false)"
_END_OF_ROWS = b"\n\\.\n"
_BEHIND_ROWS = 1 << 12  # bytes: the mark, and how pg_restore ends a script, take less


class Freezer:
    r"""Adds FREEZE to each COPY of a script by pg_restore that comes in pieces; rows pass as they are.

    Rows written so need no hint bits, no VACUUM and no second look by the index builds that follow (PostgreSQL
    documentation, "COPY"). In rows a line break is written `\n`, so the mark of their end is no row.
    """

    def __init__(self) -> None:
        self._kept = b""
        self._in_rows = False

    def feed(self, piece: bytes) -> bytes:
        """The next piece, as far as it can be told what it is."""
        text, at, done = self._kept + piece, 0, []
        while True:
            if self._in_rows:
                end = text.find(_END_OF_ROWS, at)
                until = end + len(_END_OF_ROWS) if end >= 0 else max(len(text) - len(_END_OF_ROWS) + 1, at)
                done.append(text[at:until])
                at, self._in_rows = until, end < 0
                if end < 0:
                    break
            elif match := _COPY.search(text, at):
                done += [text[at : match.start()], match[0], b" WITH (FREEZE);"]
                at, self._in_rows = match.end() + 1, True
            else:
                begun = _MAY_BE_COPY.search(text, at)
                until = begun.start() if begun else text.rfind(b"\n", at) + 1 or at
                done.append(text[at:until])
                at = until
                break
        self._kept = text[at:]
        return b"".join(done)

    def rest(self) -> bytes:
        """What was kept back."""
        kept, self._kept = self._kept, b""
        return kept


async def first_copy(stream: StreamReader) -> tuple[str, bytes]:
    """The first COPY in what pg_restore writes, without semicolon, and what was read behind it; "": there is none."""
    text = b""
    while piece := await stream.read(_PIECE):
        text += piece
        if match := _COPY.search(text):
            return match[0].decode(), text[match.end() + len(b";\n") :]
    return "", b""


async def rows(stream: StreamReader, begun: bytes) -> AsyncIterator[bytes]:
    """The rows that follow a COPY, in blocks, without the mark of their end; all there is where the stream ends early.

    The mark is looked for at the end only: a gigabyte of rows need not be searched for it.

    Args:
        begun: what has been read of them.
    """
    kept, skip = b"\n" + begun, 1  # the mark may be all there is
    while piece := await stream.read(_PIECE):
        ready = len(kept) if len(piece) >= _BEHIND_ROWS else len(kept) - _BEHIND_ROWS
        if ready > skip:
            yield kept[skip:ready]
            kept, skip = kept[ready:], 0
        kept += piece
    end = kept.rfind(_END_OF_ROWS)
    yield kept[skip:] if end < 0 else kept[skip : end + 1]


async def feed(
    psql: Program, sources: Sequence[tuple[Program, Freezer | None]], *, scripts: Sequence[str], search_path: str = ""
) -> Program | None:
    """Give psql BEGIN, the scripts with the sources between them, and COMMIT if all of it was well.

    Args:
        scripts: one more than sources.
        search_path: what pg_restore is to set in place of none.

    Returns:
        The source that failed; then nothing was committed. How psql fared says its exit code.
    """
    sink, answer = psql.process.stdin, psql.process.stdout
    assert sink is not None  # noqa: S101 - started with pipes
    assert answer is not None  # noqa: S101 - likewise
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # psql has ended: its exit code tells why
        sink.write(f"BEGIN;\n{scripts[0]}\n".encode())
        await sink.drain()
        for (source, freezer), script in zip(sources, scripts[1:], strict=True):
            assert source.process.stdout is not None  # noqa: S101 - likewise
            await _pass_on(source.process.stdout, sink, freezer, search_path)
            if await source.process.wait() != 0:
                return source
            sink.write(f"\n{script}\n".encode())
            await sink.drain()
        sink.write(b"\\echo done\n")
        await sink.drain()
        while (line := await answer.readline()) not in (b"", b"done\n"):
            continue  # what a statement gave
        if line:  # nothing: psql has ended
            sink.write(b"COMMIT;\n")
            await sink.drain()
        sink.close()
        await psql.process.wait()
    return None


async def _pass_on(stream: StreamReader, sink: StreamWriter, freezer: Freezer | None, search_path: str) -> None:
    path = "set_config('search_path', '" + search_path.replace("'", "''") + "', false)"
    head = True
    while piece := await stream.read(_PIECE):
        if head:  # pg_restore writes its settings at once
            piece = _NEWER_SETTINGS.sub(b"", piece, count=1).replace(_NO_PATH, path.encode(), 1)
            head = False
        sink.write(freezer.feed(piece) if freezer else piece)
        await sink.drain()
    if freezer:
        sink.write(freezer.rest())
        await sink.drain()
