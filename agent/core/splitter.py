"""Cutting a migration file into statements, as the Supabase CLI does for `schema_migrations.statements`.

The CLI's rules (observed on 3.1.0, compared with the real program in tests/interop): cut at each `;` that is
outside '…', E'…', "…", `--` and nested /* */ comments, $tag$…$tag$, (…), and BEGIN ATOMIC … END; a backslash
outside of those hides the next character. Then drop the trailing `;`, trim, and drop what is empty. Comments stay,
and what follows the last `;` is a statement even if it is only a comment.

Two known differences, where the CLI cuts a valid statement in two and so cannot apply it: parentheses nest here
(`CREATE RULE … DO ALSO (…; …)`), and a dollar-quoted body may start with `$`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_WORD = r"A-Za-z0-9_$\x80-\U0010ffff"
# What JavaScript's String.trim removes (ECMAScript, "WhiteSpace" and "LineTerminator").
_SPACE = " \t\n\r\f\v"
_BLANK = _SPACE + "\u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff" + "".join(map(chr, range(0x2000, 0x200B)))

_MARKS = r"""['"$\\;()]|--|/\*"""
_MARK = re.compile(_MARKS)
_MARK_OR_WORD = re.compile(rf"{_MARKS}|(?<![{_WORD}])(?:[aA][tT][oO][mM][iI][cC]|[eE][nN][dD](?![{_WORD}]))")
_ATOMIC = re.compile("[aA][tT][oO][mM][iI][cC]")
_BEGIN = re.compile(rf"(?<![{_WORD}])[bB][eE][gG][iI][nN]")

_TAG = re.compile(rf"\$[{_WORD.replace('$', '')}]*\$")
_LINE_COMMENT = re.compile(r"--[^\n\r]*[\n\r]?")
_COMMENT_MARK = re.compile(r"/\*|\*/")
_ESCAPED_BODY = r"'(?:[^'\\]++|\\.|'')*+'?"
# Strings that only blanks with a line break (or a line comment) separate are one string, and stay an E'' string.
_ESCAPED = re.compile(
    rf"{_ESCAPED_BODY}(?:[ \t\f\v]*(?:[\n\r]|--[^\n\r]*[\n\r])(?:[{_SPACE}]|--[^\n\r]*[\n\r])*+{_ESCAPED_BODY})*+",
    re.DOTALL,
)
_IS_ESCAPED = re.compile(rf"(?<![{_WORD}])[eE]\Z")
_IN_WORD = re.compile(rf"[{_WORD}]")
_LEADING = re.compile(rf"(?:[{_SPACE}]|--[^\n\r]*(?:[\n\r]|\Z))*+")


@dataclass(frozen=True, slots=True)
class Piece:
    """One statement of a file.

    `line` (1-based) and `offset` (0-based, in characters) are those of `text`'s first character in the file.
    """

    text: str
    line: int
    offset: int

    @property
    def code_offset(self) -> int:
        """Where in `text` the first character stands that is neither blank nor comment; its length if none does."""
        return skip_comments(self.text)

    @property
    def code_line(self) -> int:
        """The file's line of that character; the first line if there is none."""
        start = self.code_offset
        return self.line if start >= len(self.text) else self.line + self.text.count("\n", 0, start)


def split(sql: str) -> list[Piece]:
    """Cut SQL text into the pieces that the Supabase CLI would store and send.

    Args:
        sql: the file's text, without a byte order mark.

    Returns:
        The pieces in order; empty for a file without any.
    """
    pieces: list[Piece] = []
    start = counted = 0
    line = 1
    for end in _cuts(sql):
        raw = sql[start:end].rstrip(";")
        text = raw.strip(_BLANK)
        if text:
            offset = start + len(raw) - len(raw.lstrip(_BLANK))
            line += sql.count("\n", counted, offset)
            counted = offset
            pieces.append(Piece(text, line, offset))
        start = end
    return pieces


def skip_comments(sql: str, start: int = 0) -> int:
    """The offset, from `start` on, of the first character that is neither blank nor part of a comment."""
    while True:
        start = _match_end(_LEADING, sql, start)
        if not sql.startswith("/*", start):
            return start
        start = _comment_end(sql, start)


def code_only(sql: str, *, strings: bool = False) -> str:
    """The text with each comment, and if asked each string and dollar-quoted body, replaced by one blank."""
    if "--" not in sql and "/*" not in sql and not (strings and ("'" in sql or "$" in sql)):
        return sql
    hidden = ("--", "/*", "'", "$") if strings else ("--", "/*")
    parts: list[str] = []
    done = position = 0
    while (found := _MARK.search(sql, position)) is not None:
        sign, at, position = found.group(), found.start(), found.end()
        if sign not in "();":
            position = _skip(sql, sign, at, 0)
            if sign in hidden and position > at + 1:
                parts += (sql[done:at], " ")
                done = position
    parts.append(sql[done:])
    return "".join(parts)


def visible(sql: str) -> str:
    """The text with all that is in quotes and comments replaced by blanks, so that offsets stay."""
    parts: list[str] = []
    done = position = 0
    while (found := _MARK.search(sql, position)) is not None:
        sign, at, position = found.group(), found.start(), found.end()
        if sign not in "();":
            position = _skip(sql, sign, at, 0)
            parts += (sql[done:at], " " * (min(position, len(sql)) - at))
            done = position
    parts.append(sql[done:])
    return "".join(parts)


def _cuts(sql: str) -> Iterator[int]:
    """Where each piece ends: behind its `;`, and at the end of the text."""
    mark = _MARK_OR_WORD if _ATOMIC.search(sql) else _MARK
    opened: list[int] = []
    start = position = 0
    while (found := mark.search(sql, position)) is not None:
        sign, at, position = found.group(), found.start(), found.end()
        if sign == ";" and not opened:
            yield position
            start = position
        elif sign in "();":
            _nest(opened, sign, position)
        elif sign.isalpha():
            if len(sign) == 3:
                _end(opened, sql, at)
            elif _follows_begin(sql, at, start):
                opened.append(position)
        else:
            position = _skip(sql, sign, at, start)
    yield len(sql)


def _nest(opened: list[int], sign: str, position: int) -> None:
    """Keep `opened`: -1 for each "(", else where the current statement of a BEGIN ATOMIC body starts."""
    if sign == "(":
        opened.append(-1)
    elif opened and sign == ")" and opened[-1] < 0:
        opened.pop()
    elif opened and sign == ";" and opened[-1] >= 0:
        opened[-1] = position


def _follows_begin(sql: str, at: int, start: int) -> bool:
    """Whether the word at `at` comes behind BEGIN and nothing but blanks."""
    end = at
    while end > start and sql[end - 1] in _SPACE:
        end -= 1
    return start <= end - 5 and end < at and _BEGIN.match(sql, end - 5) is not None


def _end(opened: list[int], sql: str, at: int) -> None:
    """END closes a BEGIN ATOMIC body where a statement could start; elsewhere it ends a CASE."""
    if opened and opened[-1] >= 0 and skip_comments(sql, opened[-1]) == at:
        opened.pop()


def _skip(sql: str, sign: str, at: int, start: int) -> int:
    """Where the quoted or commented stretch ends that `sign` opens at `at`; the current piece starts at `start`."""
    match sign:
        case "--":
            return _match_end(_LINE_COMMENT, sql, at)
        case "/*":
            return _comment_end(sql, at)
        case "\\":
            return at + 2
        case "$":
            tag = _TAG.match(sql, at)
            in_word = at > start and _IN_WORD.match(sql, at - 1)
            return at + 1 if tag is None or in_word else _find_end(sql, tag.group(), tag.end())
        case "'" if at > start and _IS_ESCAPED.search(sql, max(start, at - 1), at):
            return _match_end(_ESCAPED, sql, at)
        case _:  # a doubled quote opens the next stretch at once
            return _find_end(sql, sign, at + 1)


def _match_end(pattern: re.Pattern[str], sql: str, at: int) -> int:
    found = pattern.match(sql, at)
    return at if found is None else found.end()


def _find_end(sql: str, closing: str, start: int) -> int:
    found = sql.find(closing, start)
    return len(sql) if found < 0 else found + len(closing)


def _comment_end(sql: str, start: int) -> int:
    depth = 1
    for mark in _COMMENT_MARK.finditer(sql, start + 2):
        depth += 1 if mark.group() == "/*" else -1
        if depth == 0:
            return mark.end()
    return len(sql)
