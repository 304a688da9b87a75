"""How often the Management API may be asked, over all deploys of this process.

The platform allows 120 requests a minute for a user, for each project (or organization) and endpoint, and says in
`x-ratelimit-remaining` and `x-ratelimit-reset` what is left (documentation, "Management API: rate limits"). Deploys run
on several event loops, so the count is kept under a lock, and nobody waits while holding it.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping

LIMIT = 120
PERIOD_S = 60.0

Key = tuple[str, str]


class Budget:
    """The requests of one token, counted by place (a project's ref, an organization's slug) and endpoint.

    Args:
        monotonic: seconds that never go back.
        limit: requests within `period_s` seconds.
    """

    def __init__(
        self, monotonic: Callable[[], float] = time.monotonic, *, limit: int = LIMIT, period_s: float = PERIOD_S
    ) -> None:
        self._monotonic = monotonic
        self._limit = limit
        self._period_s = period_s
        self._lock = threading.Lock()
        self._sent: dict[Key, deque[float]] = {}
        self._closed_until: dict[Key, float] = {}

    def take(self, key: Key) -> float:
        """Count a request that is about to be sent; else the seconds after which to ask again (0: it is counted)."""
        with self._lock:
            now = self._monotonic()
            closed = self._closed_until.get(key, 0.0) - now
            if closed > 0:
                return closed
            sent = self._sent.setdefault(key, deque())
            while sent and sent[0] <= now - self._period_s:
                sent.popleft()
            if len(sent) < self._limit:
                sent.append(now)
                return 0.0
            return sent[0] + self._period_s - now

    def heard(self, key: Key, headers: Mapping[str, str], *, refused: bool) -> float | None:
        """Take note of what an answer says; seconds until the next try where it was refused and says so.

        `Retry-After` comes before `x-ratelimit-reset`; both in seconds (RFC 9110 also has a date: not taken here).
        """
        wait = _seconds(headers.get("retry-after")) if refused else None
        spent = refused or headers.get("x-ratelimit-remaining", "").strip() == "0"
        if wait is None and spent:
            wait = _seconds(headers.get("x-ratelimit-reset"))
        if wait:
            with self._lock:
                until = self._monotonic() + wait
                self._closed_until[key] = max(until, self._closed_until.get(key, 0.0))
        return wait if refused else None


_budgets: dict[str, Budget] = {}
_budgets_lock = threading.Lock()


def budget_of(token: str) -> Budget:
    """The one budget of a token in this process; the token itself is not kept."""
    name = hashlib.sha256(token.encode()).hexdigest()
    with _budgets_lock:
        return _budgets.setdefault(name, Budget())


def _seconds(text: str | None) -> float | None:
    try:
        found = float(text or "")
    except ValueError:
        return None
    return found if 0 <= found < 86_400 else None
