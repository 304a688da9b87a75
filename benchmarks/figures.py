"""Figures with limits, and the table that shows them."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured value. `limit` None: told, not judged. The value must not exceed it, or with `at_least` reach it."""

    name: str
    value: float
    unit: str
    limit: float | None = None
    at_least: bool = False
    note: str = ""

    @property
    def held(self) -> bool:
        if self.limit is None:
            return True
        return self.value >= self.limit if self.at_least else self.value <= self.limit


def table(figures: Iterable[Figure]) -> str:
    """One line a figure: value, limit, and whether it holds."""
    lines = []
    for one in figures:
        sign = "≥" if one.at_least else "≤"
        limit = f"{sign} {one.limit:g}" if one.limit is not None else ""
        word = "" if one.limit is None else "ok" if one.held else "OVER"
        lines.append(f"{one.name:54}{_digits(one.value):>9} {one.unit:6}{limit:>8}  {word:5}{one.note}".rstrip())
    return "\n".join(lines)


def _digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}" if value < 10 else f"{value:.1f}"


def machine() -> str:
    """Processor, memory, load: what the figures must be read with."""
    info = Path("/proc/cpuinfo").read_text()
    model = next((line.partition(":")[2].strip() for line in info.splitlines() if line.startswith("model name")), "?")
    gib = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    return (
        f"{len(os.sched_getaffinity(0))} x {model}, {gib:.0f} GiB, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}; load {load}"
    )
