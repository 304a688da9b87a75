"""Prometheus' text format, read with its own client library."""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from datetime import datetime

from agent.core.platform_metrics import Reading, Sample
from agent.errors import PlatformError

_NAME = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*")
_SERIES = re.compile(rf"^{_NAME.pattern}(?:\{{.*\}})?[ \t]+(?:[+-]?(?:\d|Inf)|NaN)", re.MULTILINE)


def read_sample(text: str, names: Collection[str], *, at: datetime) -> Sample:
    """The series of these names. One that is NaN says nothing, and is left out.

    Args:
        text: as the platform exposes it; lines about other names are not looked at.

    Raises:
        PlatformError: `platform.bad_answer`: a line is not in the format, or there is no series of any name.
    """
    if not _SERIES.search(text):  # something else answers: that a name is missing there says nothing about the platform
        raise PlatformError(
            "the platform's metrics cannot be read: the answer holds no series in the Prometheus text format",
            code="platform.bad_answer",
        )
    from prometheus_client.parser import text_string_to_metric_families  # noqa: PLC0415 - only who asks for it pays

    readings: list[Reading] = []
    for line in text.splitlines():
        name = _NAME.match(line)
        if name is None or name[0] not in names:
            continue
        try:
            samples = [one for family in text_string_to_metric_families(line + "\n") for one in family.samples]
        except ValueError as error:
            raise PlatformError(
                f"the platform's metrics cannot be read: the series {name[0]} is not in the Prometheus text format",
                code="platform.bad_answer",
            ) from error
        readings += [
            Reading(name=one.name, labels=dict(one.labels), value=float(one.value))
            for one in samples
            if math.isfinite(one.value)
        ]
    return Sample(at=at, readings=tuple(readings))
