"""What one SQL statement is, from its words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from agent.core.splitter import code_only, split

Control = Literal["", "begin", "commit", "rollback"]

_CREATE_OR_DROP = re.compile(
    r"(CREATE|ALTER|DROP) (?:(?:OR REPLACE|GLOBAL|LOCAL|TEMP|TEMPORARY|UNLOGGED|UNIQUE|RECURSIVE|CONSTRAINT|TRUSTED|"
    r"PROCEDURAL) )*(ACCESS METHOD|DEFAULT PRIVILEGES|EVENT TRIGGER|FOREIGN DATA WRAPPER|FOREIGN TABLE|LARGE OBJECT|"
    r"MATERIALIZED VIEW|OPERATOR CLASS|OPERATOR FAMILY|TEXT SEARCH [A-Z]+|USER MAPPING|OWNED|[A-Z]+)\b"
)
_WORD = re.compile(r"[A-Z]+")
_TAGS = {
    "START": "START TRANSACTION",
    "END": "COMMIT",
    "ABORT": "ROLLBACK",
    "TRUNCATE": "TRUNCATE TABLE",
    "LOCK": "LOCK TABLE",
    "REFRESH": "REFRESH MATERIALIZED VIEW",
    "REASSIGN": "REASSIGN OWNED",
    "SECURITY": "SECURITY LABEL",
    "IMPORT": "IMPORT FOREIGN SCHEMA",
    "VALUES": "SELECT",
    "TABLE": "SELECT",
}
_ROLES = {"USER": "ROLE", "GROUP": "ROLE"}
_NESTED = re.compile(r"\([^()]*\)")
_VERB = re.compile(r"\b(?:INSERT|UPDATE|DELETE|MERGE|SELECT)\b")

# What the CLI takes for the end or beginning of a transaction; SAVEPOINT and ROLLBACK TO are none.
_CONTROL = re.compile(
    r"(?P<begin>BEGIN|START TRANSACTION)\b|(?P<commit>COMMIT|END|PREPARE TRANSACTION)\b"
    r"|(?P<rollback>ABORT|ROLLBACK)\b(?!(?: WORK| TRANSACTION)? TO\b)"
)
_CHAIN = re.compile(r"\bAND CHAIN\b")
# PostgreSQL's callers of PreventInTransactionBlock(); those of _MAY_REFUSE refuse only in some forms.
_REFUSES = re.compile(
    r"CREATE (?:UNIQUE )?INDEX CONCURRENTLY\b|DROP INDEX CONCURRENTLY\b|REINDEX\b.*\bCONCURRENTLY\b|VACUUM\b"
    r"|REINDEX (?:\(.*?\) ?)?(?:DATABASE|SYSTEM)\b|ALTER SYSTEM\b|(?:CREATE|DROP) (?:DATABASE|TABLESPACE)\b"
    r"|ALTER DATABASE .* SET TABLESPACE\b|ALTER TABLE .* DETACH PARTITION .* CONCURRENTLY\b"
    r"|(?:COMMIT|ROLLBACK) PREPARED\b|DISCARD ALL\b"
)
_MAY_REFUSE = re.compile(r"CLUSTER\b|(?:CREATE|ALTER|DROP) SUBSCRIPTION\b")
_MAY_BE_ALONE = frozenset({"CREATE", "DROP", "REINDEX", "VACUUM", "ALTER", "CLUSTER", "COMMIT", "ROLLBACK", "DISCARD"})
_BODY = re.compile(r"(\$[^$\s]*\$)(.*)\1", re.DOTALL)
_COMMITS = re.compile(r"(?:;|\b(?:BEGIN|THEN|ELSE|LOOP))\s*(?:COMMIT|ROLLBACK)\b(?!\s+TO\b)", re.IGNORECASE)

_NAME = r'(?:(?:"(?:[^"]|"")+"|[\w$]+)\s*\.\s*)?("(?:[^"]|"")+"|[\w$]+)'
_ADD_VALUE = re.compile(
    rf"ALTER\s+TYPE\s+{_NAME}\s+ADD\s+VALUE\s+(?:IF\s+NOT\s+EXISTS\s+)?'((?:[^']|'')*)'", re.IGNORECASE
)
_CREATE_PROCEDURE = re.compile(rf"CREATE\s+(?:OR\s+REPLACE\s+)?PROCEDURE\s+{_NAME}", re.IGNORECASE)
_CALL = re.compile(rf"CALL\s+{_NAME}", re.IGNORECASE)
_CREATE_ENUM = re.compile(rf"CREATE\s+TYPE\s+{_NAME}\s+AS\s+ENUM\b", re.IGNORECASE)

_DESTROYS = re.compile(r"DROP (?:TABLE|SCHEMA|MATERIALIZED VIEW|DATABASE|OWNED)\b|TRUNCATE\b")
_DROPS_COLUMN = re.compile(r"\bDROP (?!CONSTRAINT\b|DEFAULT\b|NOT NULL\b|IDENTITY\b|EXPRESSION\b)")
_SETS = re.compile(r"SET (?!LOCAL\b|CONSTRAINTS\b|TRANSACTION\b)|SELECT .*\bSET_CONFIG ?\(")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """What one statement is.

    `tag`: the command, for people: PostgreSQL's command tag where the first words tell it.
    `control`: whether it begins or ends a transaction (PREPARE TRANSACTION counts as a commit); `chains`: and begins
    the next one at once. `runs_alone`: it must not run inside a transaction block; `refuses_transaction`: PostgreSQL
    surely refuses it there. `adds_enum_values`: type and value of each ALTER TYPE … ADD VALUE, also in a DO block.
    `creates_enum`: the name of a new enum type. `destructive`: it destroys rows or a column. `sets_session`: it changes
    a setting or the role beyond its transaction.
    """

    tag: str
    control: Control = ""
    chains: bool = False
    runs_alone: bool = False
    refuses_transaction: bool = False
    adds_enum_values: tuple[tuple[str, str], ...] = ()
    creates_enum: str = ""
    destructive: bool = False
    sets_session: bool = False


def committing_procedures(sql: str) -> frozenset[str]:
    """Names, without schema, of the procedures that a file creates and whose body holds COMMIT or ROLLBACK.

    CALL of such a procedure fails in a transaction block (2D000), and works where each statement runs by itself.
    """
    if "procedure" not in (lower := sql.lower()) or ("commit" not in lower and "rollback" not in lower):
        return frozenset()
    codes = (code_only(piece.text).lstrip() for piece in split(sql))
    return frozenset(unquoted(made[1]) for code in codes if (made := _CREATE_PROCEDURE.match(code)) and _commits(code))


def describe(text: str, committing: frozenset[str] = frozenset()) -> Fact:
    """Say what one statement is, from its words; nothing is parsed.

    Args:
        text: one statement, comments and all, without its `;`.
        committing: procedures whose CALL ends transactions.
    """
    code = code_only(text).lstrip()
    words = " ".join(code.upper().split(None, 40))
    first = _WORD.match(words)
    if first is None:
        return Fact(tag="SELECT" if words.startswith("(") else "")
    verb = first.group()
    control, chains = _control(words)
    refuses = verb in _MAY_BE_ALONE and _REFUSES.match(words) is not None
    enum = _CREATE_ENUM.match(code) if verb == "CREATE" else None
    return _shared(
        Fact(
            tag=_tag(verb, words, code),
            control=control,
            chains=chains,
            runs_alone=refuses or _MAY_REFUSE.match(words) is not None or _commits_itself(verb, code, committing),
            refuses_transaction=refuses,
            adds_enum_values=_added_values(verb, code),
            creates_enum=unquoted(enum[1]) if enum else "",
            destructive=_destroys(verb, words, code),
            sets_session=verb in {"SET", "SELECT"} and _SETS.match(words) is not None,
        )
    )


def _added_values(verb: str, code: str) -> tuple[tuple[str, str], ...]:
    if verb == "ALTER":
        found = [one] if (one := _ADD_VALUE.match(code)) else []
    else:  # most blocks ask first whether it is there
        found = list(_ADD_VALUE.finditer(code)) if verb == "DO" else []
    return tuple((unquoted(one[1]), one[2].replace("''", "'")) for one in found)


@lru_cache(maxsize=256)
def _shared(fact: Fact) -> Fact:
    """Of equal facts always the same one: there are many, and they are kept."""
    return fact


def _control(words: str) -> tuple[Control, bool]:
    found = _CONTROL.match(words)
    if found is None:
        return "", False
    chains = _CHAIN.search(words) is not None
    if found["begin"]:
        return "begin", False
    return ("commit" if found["commit"] else "rollback"), chains


def _tag(verb: str, words: str, code: str) -> str:
    made = _CREATE_OR_DROP.match(words)
    if made:
        return f"{made[1]} {_ROLES.get(made[2], made[2])}"
    if verb == "PREPARE" and words.startswith("PREPARE TRANSACTION"):
        return "PREPARE TRANSACTION"
    if verb == "WITH":
        main = _VERB.search(_outside_parentheses(code_only(code, strings=True).upper()))
        return main.group() if main else verb
    return _TAGS.get(verb, verb)


def _outside_parentheses(code: str) -> str:
    while (shorter := _NESTED.sub(" ", code)) != code:
        code = shorter
    return code


def _commits_itself(verb: str, code: str, committing: frozenset[str]) -> bool:
    """Whether a DO block or a CALL ends transactions, which it may only do outside a transaction block."""
    if verb == "CALL":
        called = _CALL.match(code)
        return called is not None and unquoted(called[1]) in committing
    return verb == "DO" and _commits(code)


def _commits(code: str) -> bool:
    """Whether the dollar-quoted body in a statement holds COMMIT or ROLLBACK."""
    body = _BODY.search(code)
    return body is not None and _COMMITS.search(code_only(body[2], strings=True)) is not None


def _destroys(verb: str, words: str, code: str) -> bool:
    if verb in {"DROP", "TRUNCATE"}:
        return _DESTROYS.match(words) is not None
    if verb == "DELETE":
        return "WHERE" not in code_only(code, strings=True).upper()
    if verb == "ALTER" and words.startswith("ALTER TABLE") and "DROP" in words:
        return _DROPS_COLUMN.search(" ".join(code_only(code, strings=True).upper().split())) is not None
    return False


def unquoted(name: str) -> str:
    """An identifier as the catalog has it."""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()


def dollar_tag(*texts: str) -> str:
    """A dollar quote that stands in none of the texts."""
    tag = "body"
    while any(f"${tag}$" in text for text in texts):
        tag += "_"
    return f"${tag}$"
