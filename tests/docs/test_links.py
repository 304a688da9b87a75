"""Every link between the project's pages leads somewhere. Nothing is asked of the network."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.docs.pages import ROOT, anchors, links, pages

PAGES = {str(page.relative_to(ROOT)): page for page in pages()}


def broken(page: Path, text: str) -> list[str]:
    """The links of a page that lead nowhere."""
    found = []
    for link in links(text):
        parts = urlsplit(link)
        if parts.scheme in ("http", "https", "mailto"):
            found += [] if parts.netloc or parts.scheme == "mailto" else [link]
            continue
        target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        if parts.scheme or (parts.path and not (target.exists() and target.is_relative_to(ROOT))):
            found.append(link)
        elif parts.fragment and target.suffix == ".md":
            known = anchors(text if target == page else target.read_text(encoding="utf-8"))
            found += [] if parts.fragment in known else [link]
    return found


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_somewhere(name: str):
    page = PAGES[name]
    assert broken(page, page.read_text(encoding="utf-8")) == []


def test_every_page_of_docs_can_be_reached_from_the_readme():
    reached = {ROOT / "README.md"}
    todo = [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        for link in links(page.read_text(encoding="utf-8")):
            target = (page.parent / urlsplit(link).path).resolve()
            if target.suffix == ".md" and target.is_file() and target not in reached:
                reached.add(target)
                todo.append(target)
    assert {page for page in PAGES.values() if page.is_relative_to(ROOT / "docs")} - reached == set()


def test_a_broken_link_is_seen():
    text = (
        "# One & two: `three`\n\n## Again\n\n## Again\n\n```sh\n# not a heading\n[a](not-a-link.md)\n```\n"
        "`[b](code.md)` [c](missing.md) [d](#one--two-three) [e](#again-1) [f](#again-2) [g](#not-a-heading)\n"
        "[h](ftp://example.com) [i](https://example.com/x)\n\n[j]: gone.md\n"
    )
    page = ROOT / "page.md"  # is not written; its own anchors come from the text
    assert broken(page, text) == ["missing.md", "#again-2", "#not-a-heading", "ftp://example.com", "gone.md"]
