"""What all entries of a runbook share: frozen, strict about keys, described by their attributes' docstrings."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from agent.core import patterns

Id = Annotated[str, Field(pattern=patterns.ID)]
Name = Annotated[str, Field(pattern=patterns.WHOLE_NAME)]
Text = Annotated[str, Field(min_length=1)]


class Entry(BaseModel):
    """Base of everything that a person writes: frozen, strict about keys, numbers accepted where text is meant."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        coerce_numbers_to_str=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        defer_build=True,  # who has no runbook does not pay for its validators: 2 MiB and 0.1 s
    )

    def model_dump_json(self, **options: Any) -> str:  # noqa: ANN401 - pydantic's own
        """JSON that reads back as the same value: what was not written stays unwritten (`value: null` is written)."""
        return super().model_dump_json(**({"exclude_unset": True, "by_alias": True} | options))


def slug(text: str) -> str:
    """An id made from a title: lower case, words joined by `-`, at most 60 characters."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60].strip("-") or "check"
