"""Snapshots, COPY's text format, and manifests of salvages: pure."""

from __future__ import annotations

import pytest

from agent.core import sealed
from agent.core.salvage import Visible, backup_of, fields, id_of, manifests, settlement, unseal, visible
from agent.errors import BackupError


def test_a_snapshot_is_read():
    assert visible("812:812:") == Visible(812, 812, ())
    assert visible("812:820:812,815") == Visible(812, 820, (812, 815))


@pytest.mark.parametrize(
    ("line", "columns"),
    [
        (b"a\t1\n", ["a", "1"]),
        (b"a\t\\N\t\t\\\\N\n", ["a", None, "", "\\N"]),
        (b"u\ttab\\tnew\\nline\\\\n\\x\n", ["u", "tab\tnew\nline\\nx"]),
        ("a\tgrün\n".encode(), ["a", "grün"]),
        (b"a\n", ["a"]),
    ],
)
def test_a_line_of_copy_is_read(line: bytes, columns: list[str | None]):
    assert fields(line) == columns


def test_manifests_are_found_among_all_keys():
    keys = [
        "p/b1/manifest.json",
        "p/b1/salvage-1/manifest.json",
        "p/b1/salvage-1/0001.copy",
        "p/b2/salvage-2/0001.copy",
    ]
    assert manifests(keys) == ["p/b1/salvage-1/manifest.json"]
    assert backup_of("p/b1/salvage-1/manifest.json") == "b1"
    assert id_of("p/b1/salvage-1/manifest.json") == "1"


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"format": 1, "sha256": "0"}', b"\xff"])
def test_what_was_not_written_is_refused(content: bytes):
    for read in (unseal, settlement):
        with pytest.raises(BackupError) as caught:
            read(content, where="p/b1/salvage-1")
        assert caught.value.code == "salvage.damaged"


def test_a_format_of_the_future_is_named():
    with pytest.raises(BackupError, match="has format 2; this agent reads format 1") as caught:
        unseal(sealed.seal({"format": 2}), where="p/b1/salvage-1")
    assert caught.value.code == "salvage.newer_format"
