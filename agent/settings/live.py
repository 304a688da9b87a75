"""The settings of an agent that runs for long: secrets that lie in files count as they are now."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from agent.core.redaction import Redactor
from agent.errors import AgentError
from agent.settings.database_url import place_of
from agent.settings.load import Loaded
from agent.settings.models import Settings

Tell = Callable[[str, dict[str, object]], None]
_Seen = tuple[tuple[int, int, int] | None, ...]


class Live:
    """Looks at the files before each use of a secret, and reads the settings again when one of them has changed.

    Only secrets are taken up: passwords, tokens and who holds them, URLs and keys of webhooks. A `database_url` that
    leads to another database, and every other setting, waits for a restart, which is told.

    Args:
        first: the settings that the agent started with, and the files that they came from.
        read: reads them again.
        tell: hears what was taken up, and what was not.
        redactor: learns new secrets before anybody else sees them.
    """

    def __init__(self, first: Loaded, *, read: Callable[[], Loaded], tell: Tell, redactor: Redactor) -> None:
        self.redactor = redactor
        self._started_with = self._now = first.settings
        self._files = first.files
        self._read = read
        self._tell = tell
        self._lock = threading.Lock()  # the engine asks from a thread of its own
        self._seen = _look(self._files)

    @classmethod
    def fixed(cls, settings: Settings) -> Live:
        """Settings that never change: for one command, and for tests."""
        loaded = Loaded(settings=settings, files=())
        return cls(
            loaded, read=lambda: loaded, tell=lambda _message, _fields: None, redactor=Redactor(settings.secrets())
        )

    def now(self) -> Settings:
        """The settings with the secrets of this moment; see the class for what else is in them."""
        with self._lock:
            if _look(self._files) != self._seen:
                self._renew()
            return self._now

    def read_again(self) -> None:
        """Read them again whatever the files look like (SIGHUP)."""
        with self._lock:
            self._renew()

    def _renew(self) -> None:
        before, self._seen = self._files, _look(self._files)
        try:
            fresh = self._read()
        except AgentError as error:
            self._tell("settings cannot be read again", {"code": error.code, "why": error.message, "hint": error.hint})
            return
        self._files = fresh.files
        if fresh.files != before:  # else what was seen before they were read counts: one may have changed meanwhile
            self._seen = _look(fresh.files)
        self.redactor.learn(fresh.settings.secrets())
        old, new = self._now, fresh.settings
        if place_of(new.database_url) != place_of(old.database_url):
            self._tell("database_url leads to another database now: restart the agent to follow it", {})
            new = new.model_copy(update={"database_url": old.database_url})
        self._now = new
        self._tell(
            "settings read again", {"changed": _changed(old, new), "restart_for": _waiting(self._started_with, new)}
        )


def _look(files: Sequence[Path]) -> _Seen:
    """What tells one content of a file from the next; None for a file that is not there."""
    seen: list[tuple[int, int, int] | None] = []
    for file in files:
        try:
            found = file.stat()
        except OSError:
            seen.append(None)
        else:
            seen.append((found.st_ino, found.st_mtime_ns, found.st_size))
    return tuple(seen)


def _changed(old: Settings, new: Settings) -> list[str]:
    """Names of the sections that hold something else than before; values are not told."""
    return [name for name in type(new).model_fields if getattr(old, name) != getattr(new, name)]


def _waiting(started_with: Settings, new: Settings) -> list[str]:
    """Those of them that count only after a restart, because something else than a secret changed."""
    before, after = started_with.redacted(), new.redacted()
    taken_up = {"database_url"}
    for shown in (before, after):
        shown["http"] = {key: value for key, value in shown["http"].items() if key not in ("token", "tokens")}
    return [name for name in before if name not in taken_up and before[name] != after[name]]
