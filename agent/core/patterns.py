"""The patterns of runbook and settings, each with the words that a person is told instead."""

from __future__ import annotations

NAME = r"[A-Za-z_][A-Za-z0-9_]*"
ID = r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}$"
WHOLE_NAME = rf"^{NAME}$"
VERSION = r"^[0-9]+$"
SQLSTATE = r"^[0-9A-Z]{2}([0-9A-Z]{3})?$"
METRIC = r"^[a-z_][a-z0-9_]*$"
SERIES = r"^[A-Za-z_:][A-Za-z0-9_:]*$"
TOLERANCE = r"^[0-9]+(\.[0-9]+)?\s*%?$"
JSON_PATH = r"^[^.\[\]]+(\.[^.\[\]]+)*$"
URL = r"^(https?://|\$\{)"
LABEL = r"^[a-z0-9][a-z0-9._-]{0,62}$"

WORDS = {
    ID: "use letters, digits, '_', '.', ':' and '-', at most 100, and begin with a letter or a digit",
    WHOLE_NAME: "use letters, digits and '_', and do not begin with a digit",
    VERSION: "a version is the digits that a migration file's name begins with",
    SQLSTATE: "a SQLSTATE has five digits and capital letters, a class of them the first two",
    METRIC: "use small letters, digits and '_', and do not begin with a digit",
    SERIES: "use letters, digits, '_' and ':', and do not begin with a digit",
    TOLERANCE: "write a number, or a percentage such as 5%",
    JSON_PATH: "write keys with '.' between them, such as data.items.0",
    URL: "an address begins with http://, https:// or ${",
    LABEL: "use small letters, digits, '.', '_' and '-', at most 63, and begin with a letter or a digit",
}


def in_words(pattern: str) -> str:
    """What the pattern asks for, for people."""
    return WORDS.get(pattern, f"it must look like {pattern}")
