"""Which large objects a restore makes again, sets right or unlinks. Pure.

What is known of one is a text: 32 characters of a digest of owner, rights and comment, then 32 of its content, if that
was read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from agent.core.models import Model

_ABOUT = 32  # hexadecimal digits of an MD5


class Goal(Model):
    """What is to become of one.

    `unlink` the one that is there, `make` it from the backup; neither: give it back owner, rights and comment.
    `about`, `content`: digests of the one that was looked at; None: there was none.
    `keep`: others may have written what is taken away.
    """

    oid: int
    unlink: bool = False
    make: bool = False
    about: str | None = None
    content: str = ""
    keep: bool = False

    @property
    def line(self) -> str:
        """For people."""
        if not self.make:
            return f"large object {self.oid}{'' if self.unlink else ': owner, rights, comment'}"
        return f"large object {self.oid}: content" if self.unlink else f"large object {self.oid}: made again"


def goals(
    before: Mapping[str, str], now: Mapping[str, str], *, new: Mapping[str, bool], missing: bool
) -> Iterator[Goal]:
    """What a restore does.

    Args:
        new: those of `now` that the deploy has made, or may have, and whether nobody else can have.
        missing: make again those that are gone.
    """
    for name in sorted(before.keys() | now.keys(), key=int):
        old, there = before.get(name, ""), now.get(name, "")
        goal = partial(Goal, oid=int(name), about=there[:_ABOUT] or None, content=there[_ABOUT:])
        readable = len(old) > _ABOUT
        if not there:
            if missing and readable:
                yield goal(make=True)
        elif not old:
            if name in new and (new[name] or len(there) > _ABOUT):
                yield goal(unlink=True, keep=not new[name])
        elif len(there) > _ABOUT and readable and old[_ABOUT:] != there[_ABOUT:]:
            yield goal(unlink=True, make=True, keep=True)
        elif old[:_ABOUT] != there[:_ABOUT] and readable:
            yield goal()


def fits(there: str | None, content: str, *, overwrite: bool) -> str:
    """What becomes of a salvaged one, as `salvage.Applied` calls it.

    Args:
        there: the one that has its OID.
        content: digest of the salvaged content.
    """
    if there is None:
        return "inserted"
    if there[_ABOUT:] == content:
        return "there"
    return "overwritten" if overwrite else "differs"


def put_back(name: str, there: str | None) -> Goal:
    """One that is to be made in place of what has its OID."""
    about, content = (there[:_ABOUT], there[_ABOUT:]) if there else (None, "")
    return Goal(oid=int(name), unlink=there is not None, make=True, about=about, content=content)


def gone(name: str, there: str) -> Goal:
    """One that is to be unlinked as it is."""
    return Goal(oid=int(name), unlink=True, about=there[:_ABOUT], content=there[_ABOUT:])


def arrived(before: Mapping[str, str], now: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str], list[str]]:
    """Another database beside a backup: what both have, as each has it, and the OIDs that only the backup has.

    Of content that cannot be read there nothing is said.
    """
    held = {name: text for name, text in before.items() if len(text) > _ABOUT}
    both = [name for name in held if name in now]
    there = {name: now[name] if len(now[name]) > _ABOUT else now[name] + held[name][_ABOUT:] for name in both}
    return {name: held[name] for name in both}, there, sorted(held.keys() - now.keys(), key=int)


def as_left(
    before: Mapping[str, str], now: Mapping[str, str], *, new: Mapping[str, bool], wrote: bool
) -> dict[str, str]:
    """What there is now, as it is compared with what there was: without what only others can have done.

    Args:
        new: as in `goals`.
        wrote: the deploy may have written to large objects. If not, only owner, rights and comments are its own doing:
            a comment is noted nowhere.
    """
    found = {name: text for name, text in now.items() if name in before or name in new}
    if not wrote:
        found = {name: text[:_ABOUT] + before[name][_ABOUT:] for name, text in found.items() if name in before}
        found = {**before, **found}
    return found
