"""One client program as a child process: apart from the terminal, its last words kept, never left behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from pydantic import SecretStr

_LAST_LINES = 20
_READ = 1 << 20
_GRACE_S = 5.0


class Program:
    """A running program. `errors` are its lines that tell of trouble, `last` the last ones of any kind."""

    def __init__(self, process: asyncio.subprocess.Process, *, name: str, secrets: Sequence[SecretStr]) -> None:
        self.process = process
        self.name = name
        self.last: deque[str] = deque(maxlen=_LAST_LINES)
        self.errors: deque[str] = deque(maxlen=_LAST_LINES)
        self._secrets = [secret.get_secret_value() for secret in secrets if secret.get_secret_value()]

    async def listen(self, heard: Callable[[str], None] | None = None) -> None:
        """Read stderr to its end; each line goes to `heard` too."""
        assert self.process.stderr is not None  # noqa: S101 - it is always started with a pipe
        async for raw in _lines(self.process.stderr):
            line = self._redacted(raw)
            self.last.append(line)
            if _tells_of_trouble(line):
                self.errors.append(line)
            if heard is not None:
                heard(line)

    def complaint(self) -> str:
        """What it said last, in at most 20 lines: the errors if it named any."""
        return "\n".join(self.errors or self.last) or f"{self.name} said nothing"

    def _redacted(self, line: str) -> str:
        for secret in self._secrets:
            line = line.replace(secret, "***")
        return line

    async def stop(self) -> None:
        """End it and its children: SIGTERM, and SIGKILL to what is left after 5 seconds.

        What nobody has read of its output is read: asyncio keeps a pipe open until its end was seen.
        """
        await self._end()
        if self.process.stdout is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GRACE_S):
                    while await self.process.stdout.read(_READ):
                        pass

    async def _end(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.process.returncode is not None:
                return
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.process.wait(), _GRACE_S)


def _tells_of_trouble(line: str) -> bool:
    return any(mark in line for mark in (" error: ", " detail: ", " hint: ", "ERROR:", "FATAL:", "DETAIL:", "HINT:"))


async def _lines(stream: asyncio.StreamReader) -> AsyncIterator[str]:
    """Lines of any length: those longer than the buffer come in pieces."""
    rest = b""
    while block := await stream.read(_READ):
        *whole, rest = (rest + block).split(b"\n")
        for line in whole:
            yield line.decode(errors="replace")
        if len(rest) > _READ:
            yield rest.decode(errors="replace")
            rest = b""
    if rest:
        yield rest.decode(errors="replace")


@asynccontextmanager
async def started(
    program: Path,
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    secrets: Sequence[SecretStr] = (),
    stdin: int = asyncio.subprocess.DEVNULL,
    stdout: int = asyncio.subprocess.DEVNULL,
    files: Sequence[int] = (),
) -> AsyncIterator[Program]:
    """Start a program in its own session; it is gone at the end of the `async with`, whatever happens.

    Args:
        environment: all that it gets to see; a password is neither here nor in `arguments`.
        secrets: what must not stand in its output.
        stdin: as `subprocess.Popen` takes it; likewise `stdout`.
        files: open descriptors that it gets under the same numbers.
    """
    process = await asyncio.create_subprocess_exec(
        program,
        *arguments,
        env=dict(environment),
        stdin=stdin,
        stdout=stdout,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
        restore_signals=False,  # SIGXFSZ stays ignored: a file that may not grow is an error with a name, not a death
        limit=_READ,
        pass_fds=files,
    )
    running = Program(process, name=program.name, secrets=secrets)
    try:
        yield running
    finally:
        stopping = asyncio.ensure_future(running.stop())
        try:
            await asyncio.shield(stopping)
        except asyncio.CancelledError:
            await stopping
            raise
