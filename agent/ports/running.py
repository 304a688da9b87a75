"""What a deploy runs in: durable steps, the time, and those who are told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Clock(Protocol):
    """The time."""

    def now(self) -> datetime:
        """Aware, UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait, cancellably."""
        ...


class Notifier(Protocol):
    """One chat channel or webhook."""

    @property
    def name(self) -> str:
        """The target's name in the settings."""
        ...

    async def send(self, payload: Mapping[str, Any]) -> None:
        """Deliver once.

        Raises:
            DeliveryError: with `retry_after` seconds where the receiver asked for it, and `permanent`.
        """
        ...


class Ctx(Protocol):
    """Durable steps: a step that has returned is never run again, across crashes too."""

    @property
    def deploy_id(self) -> str:
        """The deploy this workflow runs."""
        ...

    async def step(self, name: str, action: Callable[[], Awaitable[T]]) -> T:
        """Run `action` at least once and keep its (small, JSON) result."""
        ...
