"""Which files are migrations, in which order, and what config.toml adds."""

from __future__ import annotations

import hashlib

import pytest

from agent.core.migrations import Folder, read_config, read_folder, with_config
from agent.core.models import Severity


def folder(*names: str) -> Folder:
    return read_folder(dict.fromkeys(names, b"select 1;"), label="migrations")


def files(result: Folder) -> list[str]:
    return [one.file for one in result.migrations]


def codes(result: Folder) -> list[str]:
    return [one.code for one in result.findings]


def test_both_conventions() -> None:
    result = folder("20250122000002_add.sql", "20250122000000_create.sql", "012_create_user_media_table.sql")
    assert [(one.version, one.name) for one in result.migrations] == [
        ("012", "create_user_media_table"),
        ("20250122000000", "create"),
        ("20250122000002", "add"),
    ]
    assert codes(result) == []


def test_order_is_by_version_as_a_string() -> None:
    result = folder("5_e.sql", "10_b.sql", "9_f.sql", "1_a.sql", "20260101000000_c.sql", "2_d.sql")
    assert [one.version for one in result.migrations] == ["1", "10", "2", "20260101000000", "5", "9"]


@pytest.mark.parametrize(
    "name", ["README.md", "20250101000000.sql", "20250101000000-a.sql", "1_a.SQL", "a_1.sql", "1_a.sql.bak", "x1_a.sql"]
)
def test_other_files_are_skipped_with_a_note(name: str) -> None:
    result = folder("0_first.sql", name)
    assert files(result) == ["0_first.sql"]
    (finding,) = result.findings
    assert finding.code == "plan.file_skipped"
    assert finding.where == {"file": name}
    assert finding.severity is (Severity.WARNING if name.lower().endswith(".sql") else Severity.INFO)


@pytest.mark.parametrize("name", ["1_.sql", "1_a b.sql", "001_ü.sql", "1_a.b.sql", "99999999999999999999_a.sql"])
def test_odd_names_that_count(name: str) -> None:
    assert files(folder(name)) == [name]


def test_an_old_init_is_skipped_only_as_the_first_entry() -> None:
    assert files(folder("20211208000000_init.sql", "20220101000000_a.sql")) == ["20220101000000_a.sql"]
    assert files(folder("20211209000000_init.sql")) == ["20211209000000_init.sql"]
    assert files(folder(".DS_Store", "20200101000000_init.sql")) == ["20200101000000_init.sql"]
    assert files(folder("1_a.sql", "20200101000000_init.sql")) == ["1_a.sql", "20200101000000_init.sql"]


def test_a_byte_order_mark_is_no_part_of_the_text_but_of_the_hash() -> None:
    content = "\ufeffselect 1;\r\n".encode()
    (one,) = read_folder({"1_a.sql": content}, label="m").migrations
    assert one.text == "select 1;\r\n"
    assert one.sha256 == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    ("content", "line", "says"),
    [(b"select 1;\n-- caf\xe9\n", 2, "0xe9"), ("select 1;".encode("utf-16"), 1, "UTF-16")],
)
def test_not_utf8(content: bytes, line: int, says: str) -> None:
    result = read_folder({"1_a.sql": content}, label="m")
    (finding,) = result.findings
    assert (finding.code, finding.severity) == ("plan.not_utf8", Severity.ERROR)
    assert finding.where == {"file": "1_a.sql", "line": line}
    assert says in finding.message
    assert files(result) == ["1_a.sql"]


def test_duplicate_versions_name_all_files() -> None:
    result = folder("1_a.sql", "1_b.sql", "1_c.sql", "2_d.sql")
    (finding,) = result.findings
    assert (finding.code, finding.severity) == ("plan.duplicate_version", Severity.ERROR)
    assert "1_a.sql, 1_b.sql, 1_c.sql" in finding.message


def test_001_and_1_are_two_versions() -> None:
    assert codes(folder("001_a.sql", "1_a.sql")) == []


@pytest.mark.parametrize("names", [(), ("README.md",), ("20200101000000_init.sql",)])
def test_a_folder_without_migrations_is_an_error(names: tuple[str, ...]) -> None:
    finding = folder(*names).findings[-1]
    assert (finding.code, finding.severity) == ("plan.empty_folder", Severity.ERROR)


def config(text: str, *, ref: str = "", **environ: str) -> tuple[bool, list[str]]:
    result = read_config(text, file="config.toml", environ=environ, project_ref=ref)
    return result.migrations_enabled, [one.code for one in result.findings]


@pytest.mark.parametrize(
    ("text", "enabled", "expected"),
    [
        ("", True, []),
        ("\ufeff[db]\nport = 1", True, []),
        ("[db.migrations]\nenabled = true", True, []),
        ("[db.migrations]\nenabled = false", False, ["plan.migrations_disabled"]),
        ("[db.seed]\nsql_paths = ['./seed.sql']", True, ["plan.seed_not_applied"]),
        ("[db.seed]\nenabled = false\nsql_paths = ['./seed.sql']", True, []),
        ("[db.vault]\nkey = 'env(SET)'", True, ["plan.vault_not_applied"]),
        ("[db.vault]\nkey = 'plain'", True, ["plan.vault_not_applied"]),
        ("[db.vault]\nkey = 'env(UNSET)'", True, ["plan.vault_not_applied", "plan.vault_env_unset"]),
        ("db = 1", True, []),
    ],
)
def test_config(text: str, enabled: bool, expected: list[str]) -> None:
    assert config(text, SET="x") == (enabled, expected)


def test_a_remote_overrides_the_config_of_its_project_only() -> None:
    text = "[remotes.live]\nproject_id = 'abc'\n[remotes.live.db.migrations]\nenabled = false\n"
    assert config(text, ref="abc")[0] is False
    assert config(text, ref="other")[0] is True
    assert config(text)[0] is True


def test_a_secret_in_the_config_is_never_shown() -> None:
    result = read_config("[db.vault]\nkey = 'hunter2'", file="config.toml", environ={})
    assert "hunter2" not in result.model_dump_json()


def test_broken_toml_names_the_place() -> None:
    result = read_config("[db]\nport = = 1", file="supabase/config.toml", environ={})
    (finding,) = result.findings
    assert (finding.code, finding.severity) == ("plan.config_invalid", Severity.ERROR)
    assert finding.where == {"file": "supabase/config.toml", "line": 2, "column": 8}


def test_with_config_adds_to_the_folder() -> None:
    disabled = read_config("[db.migrations]\nenabled = false", file="config.toml", environ={})
    result = with_config(folder("1_a.sql", "README.md"), disabled)
    assert not result.enabled
    assert codes(result) == ["plan.file_skipped", "plan.migrations_disabled"]
