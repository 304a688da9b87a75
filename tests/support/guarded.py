"""Child processes that cannot outlive the test run, even when that is killed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

# Standard input is a pipe held by the test run. At its end the program, a throwaway, is killed and its folder deleted.
_GUARD = """
folder=$1; shift
exec 3<&0
"$@" 3<&- </dev/null >"$folder/log" 2>&1 &
program=$!
read -r _ <&3
kill -s KILL "$program"
wait "$program"
rm -rf -- "$folder"
"""


@contextmanager
def guarded(arguments: Sequence[str], *, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program during the `with`; its output goes to `folder/log`, and `folder` is deleted at the end."""
    guard = subprocess.Popen(
        ["/bin/sh", "-c", _GUARD, "guarded", str(folder), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield guard
    finally:
        assert guard.stdin is not None
        guard.stdin.close()
        guard.wait(timeout=30)
