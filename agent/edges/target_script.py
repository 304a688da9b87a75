"""Several statements sent as one text: joining them, and finding the one that an error belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from agent.errors import StatementError

_SEPARATOR = "\n;\n"  # the newline first: a statement may end in a `--` comment


def join(statements: Sequence[str]) -> str:
    """One text for the simple query protocol."""
    return _SEPARATOR.join(statements)


def changes_parsing(text: str) -> bool:
    """Whether a text may change how what follows in it is parsed: the server parses the whole before it runs any."""
    return "standard_conforming_strings" in text.lower()


def blame(error: StatementError, statements: Sequence[str]) -> None:
    """Turn the number of finished statements and the position in the joined text into those of one statement.

    Blank statements have no result, so they do not count.
    """
    done = int(error.where.pop("done", 0))
    if error.position is not None:
        offset = error.position - 1
        for index, statement in enumerate(statements, start=1):
            if offset < len(statement) + len(_SEPARATOR) or index == len(statements):
                error.where["statement"] = index
                error.position = min(offset, len(statement)) + 1
                return
            offset -= len(statement) + len(_SEPARATOR)
    told = [index for index, statement in enumerate(statements, start=1) if not is_blank(statement)]
    error.where["statement"] = told[min(done, len(told) - 1)] if told else len(statements)


def blame_transaction(error: StatementError, transactions: Sequence[Sequence[str]]) -> None:
    """As `blame`, of statements in transactions: each holds its BEGIN and COMMIT, which do not count."""
    if "done" not in error.where:
        return
    blame(error, [statement for one in transactions for statement in one])
    index = int(error.where.pop("statement"))
    for number, one in enumerate(transactions, start=1):
        if index <= len(one):
            error.where["transaction"] = number
            error.where |= {"statement": index - 1} if 1 < index < len(one) else {"at": "commit"}
            return
        index -= len(one)


def ends(parts: Sequence[Sequence[str]]) -> tuple[int, ...]:
    """For each part of a text, how many statements have finished when it has: blank ones are not counted."""
    return tuple(accumulate(sum(not is_blank(statement) for statement in part) for part in parts))


def is_blank(statement: str) -> bool:
    """Whether a text holds only white space and comments: the server answers nothing for it."""
    at, end = 0, len(statement)
    while at < end:
        if statement[at].isspace():
            at += 1
        elif statement.startswith("--", at):
            newline = statement.find("\n", at)
            at = end if newline < 0 else newline + 1
        elif statement.startswith("/*", at):
            at = _after_comment(statement, at)
        else:
            return False
    return True


def _after_comment(statement: str, at: int) -> int:
    """The index behind the block comment at `at`; they nest."""
    depth = 0
    while at < len(statement):
        if statement.startswith("/*", at):
            depth, at = depth + 1, at + 2
        elif statement.startswith("*/", at):
            depth, at = depth - 1, at + 2
            if depth == 0:
                break
        else:
            at += 1
    return at
