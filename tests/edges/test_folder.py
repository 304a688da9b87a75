"""The migrations folder on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.edges.folder import load_folder
from agent.errors import InputError


def test_reads_files_and_links_but_not_folders(tmp_path: Path) -> None:
    (tmp_path / "1_a.sql").write_text("select 1;")
    (tmp_path / "2_folder.sql").mkdir()
    (tmp_path / "3_link.sql").symlink_to(tmp_path / "1_a.sql")
    (tmp_path / "README.md").write_bytes(b"\xff")
    result = load_folder(tmp_path, environ={})
    assert [one.file for one in result.migrations] == ["1_a.sql", "3_link.sql"]
    assert [one.code for one in result.findings] == ["plan.file_skipped"]
    assert result.label == str(tmp_path)


def test_reads_the_config_beside_a_folder_called_migrations(tmp_path: Path) -> None:
    for name in ("migrations", "scripts"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1_a.sql").touch()
    (tmp_path / "config.toml").write_text("[db.migrations]\nenabled = false\n")
    assert not load_folder(tmp_path / "migrations", environ={}).enabled
    assert load_folder(tmp_path / "scripts", environ={}).enabled


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no") as caught:
        load_folder(tmp_path / "none", environ={})
    assert caught.value.code == "input.migrations_missing"
    assert str(tmp_path / "none") in caught.value.message


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "1_a.sql").touch()
    with pytest.raises(InputError) as caught:
        load_folder(tmp_path / "1_a.sql", environ={})
    assert caught.value.code == "input.migrations_not_a_folder"


def test_a_dangling_link(tmp_path: Path) -> None:
    (tmp_path / "1_a.sql").symlink_to(tmp_path / "gone")
    with pytest.raises(InputError) as caught:
        load_folder(tmp_path, environ={})
    assert caught.value.where == {"file": str(tmp_path / "1_a.sql")}


def test_an_unreadable_entry(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "1_a.sql").symlink_to(tmp_path / "folder")
    with pytest.raises(InputError) as caught:
        load_folder(tmp_path, environ={})
    assert caught.value.code == "input.migrations_unreadable"


def test_a_folder_of_a_config_map_is_read_from_one_version(tmp_path: Path) -> None:
    """As the kubelet lays it out: each file is a link through `..data`, which is turned to another folder at once."""
    for version in ("..1", "..2"):
        (tmp_path / version).mkdir()
        for name in ("1_a.sql", "2_b.sql"):
            (tmp_path / version / name).write_text(f"select '{version}';")
    for name in ("1_a.sql", "2_b.sql"):
        (tmp_path / name).symlink_to(f"..data/{name}")
    (tmp_path / "..data").symlink_to("..1")
    before = load_folder(tmp_path, environ={})
    assert [one.text for one in before.migrations] == ["select '..1';"] * 2
    assert before.findings == (), "the kubelet's own links are no migrations that somebody misspelt"
    (tmp_path / "..data").unlink()
    (tmp_path / "..data").symlink_to("..2")
    assert [one.text for one in load_folder(tmp_path, environ={}).migrations] == ["select '..2';"] * 2


def test_a_folder_behind_a_link_is_read_from_one_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As git-sync lays it out: while the files are read, the link is turned to another commit."""
    for commit in ("one", "two"):
        folder = tmp_path / commit / "supabase" / "migrations"
        folder.mkdir(parents=True)
        for name in ("1_a.sql", "2_b.sql"):
            (folder / name).write_text(f"select '{commit}';")
    (tmp_path / "current").symlink_to("one")
    read = Path.read_bytes

    def turned_meanwhile(path: Path) -> bytes:
        (tmp_path / "current").unlink()
        (tmp_path / "current").symlink_to("two")
        monkeypatch.setattr(Path, "read_bytes", read)
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", turned_meanwhile)
    found = load_folder(tmp_path / "current" / "supabase" / "migrations", environ={})
    assert [one.text for one in found.migrations] == ["select 'one';"] * 2
    assert found.label.endswith("current/supabase/migrations")
