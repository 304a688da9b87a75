"""Durations, spans of time and ranges of numbers as people write them: `15m`, `15m..25m`, `1000..10000`."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator

from agent.core.models import Model

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|min|s|m|h|d)")
_DURATION = re.compile(rf"(?:{_PART.pattern}\s*)+")
_NUMBER = r"-?[0-9]+(?:\.[0-9]+)?"
_RANGE = re.compile(rf"(?P<low>{_NUMBER})?\s*\.\.\s*(?P<high>{_NUMBER})?|(?P<op><=|>=|<|>)\s*(?P<bound>{_NUMBER})")


def parse_duration(text: object) -> float:
    """Seconds.

    Args:
        text: a number of seconds, or parts with units (`ms`, `s`, `m` or `min`, `h`, `d`), such as `1h30m`.

    Raises:
        ValueError: it is neither.
    """
    if isinstance(text, int | float) and not isinstance(text, bool):
        seconds = float(text)
    elif isinstance(text, str) and _DURATION.fullmatch(text.strip()):
        seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    else:
        raise ValueError(f"{text!r} is not a duration; write for instance 500ms, 5s, 15m or 1h30m")
    if not 0 <= seconds <= 30 * 86400:
        raise ValueError(f"{text!r} is not between 0 and 30 days")
    return seconds


def duration(seconds: float) -> str:
    """A time span for people: `340 ms`, `4.2 s`, `42 s`, `15 min`, `3 min 12 s`, `2 h 05 min`, `3 d 04 h`.

    Args:
        seconds: the span in seconds; negative ones (clocks that disagree) count as zero.
    """
    seconds = max(seconds, 0.0)
    if seconds < 0.9995:
        return f"{round(seconds * 1000)} ms"
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 9.95 and seconds != whole else f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return _parts(minutes, "min", rest, "s")
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return _parts(hours, "h", minutes, "min")
    days, hours = divmod(hours, 24)
    return _parts(days, "d", hours, "h")


def _parts(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large} {large_unit}" + (f" {small:02} {small_unit}" if small else "")


def count(number: int, noun: str, plural: str = "") -> str:
    """A number and its noun: `1 table`, `1,204 rows`; `plural` where adding an `s` is wrong."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


class Span(Model):
    """From `low_s` to `high_s` seconds, both included."""

    low_s: float
    high_s: float

    def __str__(self) -> str:
        """For people: `15 min to 25 min`."""
        if self.low_s == self.high_s:
            return duration(self.low_s)
        return f"{duration(self.low_s)} to {duration(self.high_s)}"


def parse_span(text: object) -> object:
    """A `Span` from `15m..25m`, or from one duration."""
    if not isinstance(text, str | int | float):
        return text
    low, separator, high = str(text).partition("..")
    span = Span(low_s=parse_duration(_number(low)), high_s=parse_duration(_number(high if separator else low)))
    if span.low_s > span.high_s:
        raise ValueError(f"{text!r} ends before it begins")
    return span


def _number(text: str) -> str | float:
    return float(text) if re.fullmatch(_NUMBER, text.strip()) else text


class Range(Model):
    """A range of numbers; a missing bound is open. `exclusive` leaves the bounds out."""

    low: float | None = None
    high: float | None = None
    exclusive: bool = False

    def __str__(self) -> str:
        """For people: `4`, `1 to 5`, `at most 5`, `less than 5`, `any number of`."""
        if self.low is not None and self.high is not None:
            return f"{self.low:.15g}" if self.low == self.high else f"{self.low:.15g} to {self.high:.15g}"
        if self.low is not None:
            return f"{'more than' if self.exclusive else 'at least'} {self.low:.15g}"
        return (
            f"{'less than' if self.exclusive else 'at most'} {self.high:.15g}"
            if self.high is not None
            else "any number of"
        )

    def holds(self, number: float) -> bool:
        """Whether the number lies in the range."""
        if self.exclusive:
            return (self.low is None or number > self.low) and (self.high is None or number < self.high)
        return (self.low is None or number >= self.low) and (self.high is None or number <= self.high)


def parse_range(text: object) -> object:
    """A `Range` from `1000..10000`, `<1000`, `>=10`, or one number."""
    if isinstance(text, int | float) and not isinstance(text, bool):
        return Range(low=text, high=text)
    if not isinstance(text, str):
        return text
    if re.fullmatch(_NUMBER, text.strip()):
        return Range(low=float(text), high=float(text))
    match = _RANGE.fullmatch(text.strip())
    if match is None or (match["op"] is None and match["low"] is None and match["high"] is None):
        raise ValueError(f"{text!r} is not a range; write for instance <1000, 1000..10000 or >10000")
    if match["op"]:
        bound = float(match["bound"])
        exclusive = len(match["op"]) == 1
        return Range(**{"low" if match["op"][0] == ">" else "high": bound}, exclusive=exclusive)
    low, high = (float(side) if side is not None else None for side in (match["low"], match["high"]))
    if low is not None and high is not None and low > high:
        raise ValueError(f"{text!r} ends before it begins")
    return Range(low=low, high=high)


def as_list(value: Any) -> Any:  # noqa: ANN401 - whatever the YAML holds
    """A list as it is; anything else as a list of one."""
    return list(value) if isinstance(value, list | tuple) else [value]


Seconds = Annotated[float, BeforeValidator(parse_duration, json_schema_input_type=str | float)]
"""A duration in seconds, written `500ms`, `5s`, `15m`, `1h30m` or as a number of seconds."""

SpanOfTime = Annotated[Span, BeforeValidator(parse_span, json_schema_input_type=str | float)]
"""A span of time, written `15m..25m`."""

RangeOfNumbers = Annotated[Range, BeforeValidator(parse_range, json_schema_input_type=str | float)]
"""A range of numbers, written `<1000`, `1000..10000`, `>10000` or as one number."""

Texts = Annotated[tuple[str, ...], BeforeValidator(as_list, json_schema_input_type=str | list[str])]
"""One text, or a list of texts."""
