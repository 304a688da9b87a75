"""Rows of the store's tables to values and back."""

from __future__ import annotations

from typing import Any

from pydantic_core import from_json, to_json
from sqlalchemy import Row

from agent.core.models import Deploy, DeployRequest, Event, Failure, NewEvent, OutboxMessage


def clean(text: str) -> str:
    """Text that every database can hold: no NUL, no lone surrogates."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def event_row(deploy_id: str, seq: int, event: NewEvent) -> dict[str, Any]:
    """An event as a row of `events`."""
    return {
        "deploy_id": deploy_id,
        "seq": seq,
        "kind": str(event.kind),
        "at": event.at,
        "severity": str(event.severity),
        "message": clean(event.message),
        "data": to_json(event.data, fallback=str, inf_nan_mode="strings").decode(),
    }


def to_event(row: Row[Any]) -> Event:
    """A row of `events` as an event."""
    return Event.model_validate(row._asdict() | {"data": from_json(row.data)})


def to_deploy(row: Row[Any]) -> Deploy:
    """A row of `deploys` as a deploy."""
    fields = row._asdict()
    del fields["last_seq"]
    fields["request"] = DeployRequest.model_validate_json(row.request)
    fields["failure"] = None if row.failure is None else Failure.model_validate_json(row.failure)
    fields["versions"] = from_json(row.versions)
    return Deploy.model_validate(fields)


def to_message(row: Row[Any]) -> OutboxMessage:
    """A row of `outbox` as a message."""
    fields = row._asdict()
    for name in ("leased_until", "sent_at"):
        del fields[name]
    return OutboxMessage.model_validate(fields)
