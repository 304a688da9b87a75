"""One agent a volume: an exclusive lock on the state folder, held as long as the process lives.

SQLite and the engine on it belong to one process. The lock is `flock` (see flock(2)): the kernel
releases it when the holder ends, however it ends; the file that carries it stays.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.errors import BusyError, StoreError

LOCK_FILE = "agent.lock"


def make_state_folder(state_dir: Path) -> None:
    """Make the state folder where it is missing: for this user alone, and unseen by git (gitignore(5)).

    Raises:
        OSError: it cannot be made.
    """
    try:
        state_dir.mkdir(parents=True, mode=0o700)
    except FileExistsError:
        return
    (state_dir / ".gitignore").write_text("*\n", encoding="ascii")


@contextmanager
def lock_volume(state_dir: Path) -> Iterator[None]:
    """Hold the state folder for this process; the folder is created where it is missing.

    Args:
        state_dir: the folder of the agent's SQLite files.

    Raises:
        BusyError: `busy.volume`: another process holds it; the message names its process id.
        StoreError: `store.cannot_open`: the folder cannot be created or written.
    """
    try:
        make_state_folder(state_dir)
        handle = os.open(state_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(
            f"the state folder {state_dir} cannot be written ({error.strerror})",
            code="store.cannot_open",
            hint="Make it writable for the agent's user, or set another state_dir.",
        ) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(handle, 20, 0).decode("ascii", "replace").strip() or "unknown"
            raise BusyError(
                f"process {holder} already runs an agent on {state_dir}",
                code="busy.volume",
                hint="Talk to that agent (deploy-agent status), or stop it first.",
                where={"pid": int(holder)} if holder.isdigit() else None,
            ) from error
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode("ascii"), 0)
        yield
    finally:
        os.close(handle)
