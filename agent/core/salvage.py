"""Salvage: whose a row is, told from its transaction id, and what is kept of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from agent.core import sealed
from agent.core.backups import MANIFEST, StoredFile, prefix
from agent.core.models import Model
from agent.core.units import count
from agent.errors import BackupError

FORMAT = 1
PLACE = "salvage-"  # a folder of this name beside the files of the backup
SETTLED = "settled.json"  # what people decided about it

_PLACE = re.compile(r"\{(\w+)\}")
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


class Visible(NamedTuple):
    """A snapshot of PostgreSQL as pg_current_snapshot() writes it: `low:high:running,running`.

    Transactions below `low` had ended, those from `high` on had not begun, `running` were under way. A subtransaction's
    id is not among these: between `low` and `high` it may belong to one that was.
    """

    low: int
    high: int
    running: tuple[int, ...] = ()


def visible(text: str) -> Visible:
    """Read a snapshot.

    Raises:
        ValueError: it is none.
    """
    low, high, running = text.split(":")
    return Visible(int(low), int(high), tuple(int(one) for one in running.split(",") if one))


class SalvagedTable(Model):
    """What was kept of one table, and the name of its file.

    `application`: rows that only the application can have written. `unclear`: rows whose last version is, or may be,
    the deploy's, or may be in the backup: a row that the application inserted and a migration then updated is one of
    these. `deletes_unknown`: rows that the application deleted since the backup come back, and nobody can tell which.
    `columns`: those in the file, in its order, behind the letter that says whose a row is; generated ones are left out.
    """

    table: str
    rows: int
    application: int
    unclear: int
    deletes_unknown: bool
    columns: tuple[str, ...]
    file: str = ""


class Settlement(StrEnum):
    """What became of a salvage: until then its backup is not removed."""

    OPEN = "open"
    APPLIED = "applied"
    DISMISSED = "dismissed"


class Salvage(Model):
    """Rows that the failed database had and the backup has not, kept before a restore took them away.

    `until`: the snapshot (`Visible`) that they were read in: what was written later is not here.
    """

    id: str
    project: str
    deploy_id: str
    backup_id: str
    at: datetime
    tables: tuple[SalvagedTable, ...]
    location: str
    until: str
    settled: Settlement = Settlement.OPEN

    @property
    def rows(self) -> int:
        """Of all tables."""
        return sum(table.rows for table in self.tables)

    @property
    def application(self) -> int:
        """Rows that only the application can have written."""
        return sum(table.application for table in self.tables)


class Stored(Model):
    """A salvage's manifest, written last: one without does not exist."""

    format: int = FORMAT
    salvage: Salvage
    encryption: str = ""
    files: tuple[StoredFile, ...]


class Wishes(Model):
    """How a salvage is to be put back.

    `unclear`: also rows that may be the deploy's own. `overwrite`: rows of the same primary key take the salvaged
    values. `dry_run`: roll all of it back.
    """

    unclear: bool = False
    overwrite: bool = False
    dry_run: bool = False


class Applied(Model):
    """How a salvage was put back into one table, in rows.

    `there`: the table has the same row already. `differs`: it has another row under the same key. `refused`: the table
    does not take it, for the `reasons`. `left`: unclear ones that were not asked for. `left_out`: columns that the
    table does not have.
    """

    table: str
    inserted: int = 0
    overwritten: int = 0
    there: int = 0
    differs: int = 0
    refused: int = 0
    left: int = 0
    left_out: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()

    @property
    def left_over(self) -> int:
        """Rows that are nowhere but in the salvage."""
        return self.differs + self.refused + self.left


def place(salvage: Salvage) -> str:
    """Where its files lie in the object store."""
    return f"{prefix(salvage.project, salvage.backup_id)}/{PLACE}{salvage.id}"


def manifests(keys: Iterable[str]) -> list[str]:
    """Of the keys in an object store, those of salvages' manifests."""
    return sorted(key for key in keys if key.endswith(f"/{MANIFEST}") and f"/{PLACE}" in key)


def id_of(key: str) -> str:
    """The id of the salvage that a manifest is of, by where it lies."""
    return key.split("/")[-2].removeprefix(PLACE)


def backup_of(key: str) -> str:
    """The id of the backup that a salvage's manifest lies beside."""
    return key.split("/")[-3]


def seal(stored: Stored) -> bytes:
    """The manifest as it is stored."""
    return sealed.seal(stored.model_dump(mode="json"))


def unseal(content: bytes, *, where: str) -> Stored:
    """Read a stored manifest.

    Args:
        where: its place, for the message.

    Raises:
        BackupError: `salvage.damaged`, `salvage.newer_format`.
    """
    try:
        return sealed.read(Stored, content, format=FORMAT)
    except sealed.OtherFormatError as error:
        raise BackupError(
            f"{where} {error}",
            code="salvage.newer_format",
            hint="Use the version of the agent that wrote it, or load its files by hand: see docs/salvage.md.",
        ) from error
    except ValueError as error:
        raise damaged(where, "it is not what was written") from error


def settlement(content: bytes, *, where: str) -> Settlement:
    """What became of a salvage, from the file beside it.

    Raises:
        BackupError: `salvage.damaged`.
    """
    try:
        return Settlement(sealed.unseal(content).get("how", ""))
    except ValueError as error:
        raise damaged(where, "it is not what was written") from error


def filled(text: str, names: Mapping[str, object]) -> str:
    """SQL with the pieces that the server has written put in the place of `{name}`."""
    return _PLACE.sub(lambda found: str(names.get(found[1], found[0])), text)


def fields(line: bytes) -> list[str | None]:
    """The columns of one line of COPY's text format (PostgreSQL documentation, COPY, "Text Format")."""
    return [
        None if one == r"\N" else _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[1]), one)
        for one in line.decode().removesuffix("\n").split("\t")
    ]


def damaged(where: str, why: str) -> BackupError:
    """A salvage that cannot be trusted; none of it is used."""
    return BackupError(
        f"the salvage is damaged: {where}: {why}",
        code="salvage.damaged",
        hint="Nothing was applied. Find out what happened to its disk or bucket; whole files of it can still be loaded "
        "by hand: see docs/salvage.md.",
        where={"file": where},
    )


def sentence(tables: Sequence[SalvagedTable]) -> str:
    """What was kept, for people: `12 rows of 2 tables (3 of them unclear)`."""
    rows, unclear = sum(one.rows for one in tables), sum(one.unclear for one in tables)
    words = f"{count(rows, 'row')} of {count(len(tables), 'table')}"
    return f"{words} ({unclear:,} of them unclear)" if unclear else words
