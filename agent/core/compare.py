"""Is the database what it was? Two snapshots in, the differences out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from agent.core.models import Model, Snapshot, TableMark

_INVALID = "invalid index:"


class Differences(Model):
    """What is not as it was, one readable line each, by kind.

    `large`: large objects.
    `unkept`: of `outside`, the tables that were written to and whose rows no backup holds, as those of `auth.users`.
    `lost`: indexes that were invalid, and are gone. No dump has them and no query used them, so they are no difference.
    """

    catalog: tuple[str, ...] = ()
    content: tuple[str, ...] = ()
    sequences: tuple[str, ...] = ()
    history: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()
    large: tuple[str, ...] = ()
    unkept: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        """Every difference, schema first."""
        return (*self.catalog, *self.history, *self.content, *self.sequences, *self.large, *self.outside)

    @property
    def none(self) -> bool:
        """Whether the two are equal."""
        return not self.all

    @property
    def beyond_backups(self) -> bool:
        """Whether all that differs after rung 3 is what rung 4 cannot bring back either.

        Those are rows that are in no backup, and large objects that rung 3 has left: rung 4 does the same with them.
        """
        return bool(self.all) and self.all == (*self.large, *self.unkept)


def differences(before: Snapshot, after: Snapshot, *, wrote_outside: Collection[str] = ()) -> Differences:
    """Compare two snapshots.

    Args:
        wrote_outside: the tables outside the backup that the deploy wrote to. The rows of others are not looked at:
            the application and Supabase's services write there all the time.

    A sequence that has moved on is no difference: PostgreSQL never takes back `nextval`
    (documentation, "Sequence Manipulation Functions"). One that was set back is. One that has begun again at its end
    counts as such, too: it cannot be told from one that was set back.
    """
    unkept = tuple(_written(before, after, wrote_outside))
    return Differences(
        catalog=tuple(_catalog(before.catalog, after.catalog)),
        content=tuple(content_differences(before.tables, after.tables)),
        sequences=tuple(
            f"sequence {name} would give {now.next}, it would have given {old.next}"
            for name, old in sorted(before.sequences.items())
            if (now := after.sequences.get(name)) is not None and now.is_behind(old)
        ),
        history=tuple(_history(before.history, after.history)),
        large=tuple(f"large object {line}" for line in _large(before.large_objects, after.large_objects)),
        outside=(*_catalog(before.outside, after.outside), *unkept),
        unkept=unkept,
        lost=tuple(sorted(name for name in before.catalog.keys() - after.catalog.keys() if name.startswith(_INVALID))),
    )


def _catalog(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    for identity in sorted(before.keys() | after.keys()):
        if identity not in after:
            if not identity.startswith(_INVALID):
                yield f"{identity} is missing"
        elif identity not in before:
            yield f"{identity} is new"
        elif before[identity] != after[identity]:
            yield f"{identity} is altered"


def content_differences(before: Mapping[str, TableMark], after: Mapping[str, TableMark]) -> Iterator[str]:
    """The tables of both that hold something else, a line each."""
    for name in sorted(before.keys() & after.keys()):
        old, new = before[name], after[name]
        if old.rows != new.rows:
            yield f"table {name} has {new.rows} rows, it had {old.rows}"
        elif old.hash != new.hash:
            yield f"table {name} has other content in its {new.rows} rows"


def _history(before: tuple[str, ...], after: tuple[str, ...]) -> Iterator[str]:
    for version in sorted(set(before) ^ set(after)):
        state = "no longer" if version in before else "still"
        yield f"version {version} is {state} recorded as applied"


def _large(before: Mapping[str, str] | None, after: Mapping[str, str] | None) -> Iterator[str]:
    if before is not None and after is not None:
        yield from _catalog(before, after)


def _written(before: Snapshot, after: Snapshot, names: Collection[str]) -> Iterator[str]:
    """A written table is as before only where its content was recorded, and is the same."""
    for name in sorted(set(names)):
        old, new = before.outside_tables.get(name), after.outside_tables.get(name)
        if old is None or new is None:
            yield f"{name}, outside the application's schemas, was written to"
        elif (old.rows, old.hash) != (new.rows, new.hash):
            yield f"{name}, outside the application's schemas, was written to: {new.rows} rows, it had {old.rows}"
