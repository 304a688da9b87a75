"""Whole seconds of the machine's clock, where a moment itself is what a test is about."""

from __future__ import annotations

import time


def next_second() -> int:
    """Wait for the next whole second; what was committed before is older than it, what comes after is younger."""
    second = int(time.time()) + 1
    while (left := second + 0.05 - time.time()) > 0:
        time.sleep(left)
    return second
