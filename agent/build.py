"""Which build of the agent this is."""

from __future__ import annotations

import subprocess
from pathlib import Path

from agent import __version__

_HERE = Path(__file__).resolve().parent


def commit() -> str:
    """The commit that the agent was built from, "" where nobody knows.

    An image, or a wheel that was built in a checkout, has it in a file beside this module. A checkout asks git, which
    says `-changed` behind the commit if files differ from it.
    """
    packaged = _HERE / "_commit"
    if packaged.is_file():
        return packaged.read_text(encoding="ascii").strip()
    if not (_HERE.parent / ".git").exists():
        return ""
    ask = ["git", "-C", str(_HERE.parent), "describe", "--always", "--exclude=*", "--abbrev=40", "--dirty=-changed"]
    try:
        answer = subprocess.run(ask, check=False, capture_output=True, text=True)  # noqa: S603 - a fixed program
    except OSError:  # a checkout on a machine without git
        return ""
    return answer.stdout.strip()


def full_version() -> str:
    """For people: `0.1.0 (commit 475ab76c…)`; without a commit, the version alone."""
    known = commit()
    return f"{__version__} (commit {known})" if known else __version__
