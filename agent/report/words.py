"""Numbers and texts as people read them; the same words in the terminal, in chat and on a page."""

from __future__ import annotations

from collections.abc import Sequence


def offset(seconds: float) -> str:
    """A point in time within a deploy: `+0:04.2`, `+12:31.0`, `+1:02:03`."""
    tenths = round(max(seconds, 0.0) * 10)
    minutes, rest = divmod(tenths, 600)
    if minutes < 60:
        return f"+{minutes}:{rest / 10:04.1f}"
    hours, minutes = divmod(minutes, 60)
    return f"+{hours}:{minutes:02}:{rest // 10:02}"


def size(byte_count: float) -> str:
    """Bytes in decimal units: `0 B`, `812 B`, `34.2 MB`, `1.1 GB`."""
    amount = float(byte_count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 999.5:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 99.95 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def clip(text: str, width: int) -> str:
    """One line of at most `width` characters; white space squeezed, the end marked with `…` when cut."""
    line = " ".join(text.split())
    return line if len(line) <= width else line[: max(width - 1, 0)].rstrip() + "…"


def listing(items: Sequence[str], *, most: int = 4) -> str:
    """`a`, `a and b`, `a, b and c`; beyond `most` the rest is counted: `a, b and 7 more`."""
    shown = list(items)
    if len(shown) > most:
        shown = [*shown[: most - 1], f"{len(items) - most + 1} more"]
    if len(shown) < 2:
        return "".join(shown)
    return f"{', '.join(shown[:-1])} and {shown[-1]}"


def sentence(text: str) -> str:
    """The text as a sentence: trimmed, first letter upper case, a full stop at its end."""
    text = text.strip()
    if not text:
        return ""
    if text[-1] not in ".!?…:":
        text += "."
    first_word = text.split(maxsplit=1)[0]
    return text[0].upper() + text[1:] if first_word.isalpha() and first_word.islower() else text
