"""The SQL that the agent sends, by name: `load("history/list")` is the text of `sql/history/list.sql`.

In a checkout the files lie in `sql/` at the top; in an installed wheel in `agent/_sql/`.
A file holds one statement (or one script, where its first comment says so). Parameters are
psycopg's `%(name)s`; `{name}` stands for an identifier, quoted by the edge that sends it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

_HERE = Path(__file__).resolve().parent


@cache
def root() -> Path:
    """The folder that holds the SQL files.

    Raises:
        FileNotFoundError: the installation is broken: neither place exists.
    """
    for place in (_HERE / "_sql", _HERE.parent / "sql"):
        if place.is_dir():
            return place
    raise FileNotFoundError(f"no sql folder beside {_HERE}")


_names: dict[str, str] = {}


def name_of(text: str) -> str:
    """The name that `load` gave this text for, or "": it is not of a file, or not as it stands there."""
    return _names.get(text, "")


@cache
def load(name: str) -> str:
    """The text of one SQL file.

    Args:
        name: path under `sql/` without the ending, for instance `history/list`.

    Raises:
        FileNotFoundError: there is no such file: a bug in the agent.
    """
    text = (root() / f"{name}.sql").read_text(encoding="utf-8")
    _names[text] = name
    return text
