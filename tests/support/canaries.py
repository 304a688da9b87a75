"""Values that must come out nowhere, and places to look for them: files, children of a process, texts."""

from __future__ import annotations

import base64
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, quote_plus


class Canaries:
    """Each has a name; `found` says which of them a text or some bytes hold, in any of the forms that are common."""

    def __init__(self) -> None:
        self._forms: dict[str, set[bytes]] = {}

    def plant(self, name: str, value: str | None = None, *, part: str | None = None) -> str:
        """A canary, with characters that URLs and JSON write in another way.

        Args:
            value: one that has to have a form of its own; None: a new one.
            part: look for this part of it instead of the whole.
        """
        value = value or f"canary/{name}:{secrets.token_hex(8)}"
        sought = part or value
        forms = {sought, quote(sought, safe=""), quote(sought), quote_plus(sought)}
        coded = base64.b64encode(sought.encode()).rstrip(b"=")
        self._forms[name] = {form.encode() for form in forms} | {coded[: len(coded) - 2]}
        return value

    def found(self, content: bytes | str) -> set[str]:
        """Names of the canaries in it."""
        text = content.encode() if isinstance(content, str) else content
        return {name for name, forms in self._forms.items() if any(form in text for form in forms)}

    def in_files(self, folder: Path, *, without: tuple[Path, ...] = ()) -> dict[str, set[str]]:
        """Each file below that holds one, or has one in its name, and which."""
        hits: dict[str, set[str]] = {}
        for path in folder.rglob("*"):
            if any(path.is_relative_to(other) for other in without):
                continue
            seen = self.found(str(path.relative_to(folder)))
            seen |= self.found(path.read_bytes()) if path.is_file() and not path.is_symlink() else set()
            if seen:
                hits[str(path)] = seen
        return hits


class Watched:
    """What was seen of the children of a process."""

    def __init__(self) -> None:
        self.programs: set[str] = set()
        self.hits: dict[str, set[str]] = {}


@contextmanager
def children_watched(canaries: Canaries, parent: int) -> Iterator[Watched]:
    """Reads arguments and environment of every descendant of a process as often as it can, during the `with`."""
    seen, over = Watched(), threading.Event()
    own = _read(Path(f"/proc/{parent}/environ"))

    def look() -> None:
        while not over.wait(0.005):
            for pid, program in _descendants(parent).items():
                seen.programs.add(program)
                for what in ("cmdline", "environ"):
                    content = _read(Path(f"/proc/{pid}/{what}"))
                    if content == own:  # the parent itself, forked a moment ago: it has its secrets from somewhere
                        continue
                    if hits := canaries.found(content):
                        seen.hits.setdefault(f"{what} of {program}", set()).update(hits)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()


def _descendants(parent: int) -> Mapping[int, str]:
    parents: dict[int, tuple[int, str]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (text := _read(entry / "stat").decode(errors="replace")):
            name, _, rest = text.partition("(")[2].rpartition(")")
            parents[int(entry.name)] = (int(rest.split()[1]), name)
    found: dict[int, str] = {}
    wanted = {parent}
    while wanted:
        wanted = {pid for pid, (above, _) in parents.items() if above in wanted and pid not in found}
        found |= {pid: parents[pid][1] for pid in wanted}
    return found


def _read(path: Path) -> bytes:
    """Empty for a process that has ended meanwhile."""
    try:
        return path.read_bytes()
    except OSError:
        return b""
