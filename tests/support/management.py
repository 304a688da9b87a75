"""The Management API's client for tests: by a clock that only its own pauses move, and with all that it told."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import SecretStr

from agent.core.platform import Call
from agent.edges.management_api import ManagementApi, Timing
from agent.edges.management_api_budget import Budget

REF = "abcdefghijklmnopqrst"
TOKEN = "sbp_" + "0123456789abcdef" * 2 + "01234567"
BASE = "https://api.example.test"


@dataclass
class Wire:
    """`api`, the calls it told of, and the pauses it made (seconds)."""

    now: float = 1000.0
    pauses: list[float] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    budget: Budget = field(init=False)
    api: ManagementApi = field(init=False)

    def __post_init__(self) -> None:
        self.budget = Budget(lambda: self.now)
        self.api = self.client()

    def client(self, **more: object) -> ManagementApi:
        """Another client with the same clock and budget."""

        async def sleep(seconds: float) -> None:
            self.pauses.append(seconds)
            self.now += seconds

        given = {
            "ref": REF,
            "token": lambda: SecretStr(TOKEN),
            "base_url": BASE,
            "timing": Timing(monotonic=lambda: self.now, sleep=sleep, jitter=lambda: 1.0),
            "budget": self.budget,
            "on_call": self.calls.append,
        }
        return ManagementApi(**(given | more))


def project(**more: object) -> dict:
    """An answer to `GET /v1/projects/{ref}`."""
    return {
        "id": REF,
        "ref": REF,
        "organization_id": "acme",
        "organization_slug": "acme",
        "name": "tracks",
        "region": "eu-central-1",
        "created_at": "2026-01-01T00:00:00Z",
        "status": "ACTIVE_HEALTHY",
        "database": {
            "host": f"db.{REF}.supabase.co",
            "version": "17.4.1.054",
            "postgres_engine": "17",
            "release_channel": "ga",
        },
        **more,
    }
