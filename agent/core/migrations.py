"""Migration files and the folder that holds them, as the Supabase CLI sees it.

Which files count, and in which order, was observed on the CLI 3.1.0 and is compared with it in tests/interop.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Any

from agent.core.models import Finding, Model, Severity

FILE_NAME = re.compile(r"([0-9]+)_(.*)\.sql")
KEPT_FILES = 2048
"""How many files are remembered, with what was found in them: a running agent reads the same ones again and again."""

_OLD_INIT = re.compile(r"([0-9]{14})_init\.sql")
_OLD_INIT_BEFORE = 20211209000000
_ENV = re.compile(r"env\((.*)\)")
_BOM = "\ufeff"
_TOML_PLACE = re.compile(r"\(at line (\d+), column (\d+)\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One file `<version>_<name>.sql`.

    `file` is the file's name without its folder, `text` its content without a byte order mark, `sha256` the
    hexadecimal hash of its bytes.
    """

    version: str
    name: str
    file: str
    text: str
    sha256: str


class Folder(Model):
    """All migrations of a project, ordered by version as a string, and what was noticed while reading them.

    `label` names the folder for people. `enabled` is False where `config.toml` says so: then nothing is pending.
    """

    label: str
    migrations: tuple[Migration, ...] = ()
    findings: tuple[Finding, ...] = ()
    enabled: bool = True


class Config(Model):
    """What `supabase/config.toml` says about migrations."""

    migrations_enabled: bool = True
    findings: tuple[Finding, ...] = ()


def is_migration(file: str) -> bool:
    """Whether a file's name is that of a migration; others need not be read at all."""
    return FILE_NAME.fullmatch(file) is not None


def read_folder(files: Mapping[str, bytes], *, label: str) -> Folder:
    """Turn a folder's files into migrations.

    Args:
        files: content by name, all files that lie directly in the folder, in any order. The content of a file that
            `is_migration` refuses is not looked at.
        label: the folder's name for people.

    Returns:
        The folder. Findings: `plan.file_skipped`, `plan.not_utf8`, `plan.duplicate_version`, `plan.empty_folder`.
    """
    migrations: list[Migration] = []
    findings: list[Finding] = []
    for index, file in enumerate(sorted(files)):
        if index == 0 and _is_old_init(file):
            findings.append(_skipped(file, "an `init` migration from before 2021-12-09 is left out, as the CLI does"))
        elif not is_migration(file):
            findings.append(_skipped(file, "its name is not `<version>_<name>.sql`"))
        else:
            migration, problem = _read_file(file, _Content(files[file]))
            migrations.append(migration)
            findings += problem
    migrations.sort(key=lambda one: one.version)
    findings += _duplicates(migrations)
    if not migrations:
        findings.append(
            Finding(
                code="plan.empty_folder",
                severity=Severity.ERROR,
                message=f"{label} holds no migration",
                hint="A migration is a file `<version>_<name>.sql` directly in it; check the `migrations` setting.",
                where={"file": label},
            )
        )
    return Folder(label=label, migrations=tuple(migrations), findings=tuple(findings))


def read_config(text: str, *, file: str, environ: Mapping[str, str], project_ref: str = "") -> Config:
    """Read what a Supabase `config.toml` says about applying migrations.

    Args:
        text: the file's text.
        file: its name, for messages.
        environ: environment variables that `env(NAME)` may name.
        project_ref: the target's ref; a table `[remotes.*]` with this `project_id` overrides the rest.

    Returns:
        The facts. Findings: `plan.config_invalid`, `plan.migrations_disabled`, `plan.seed_not_applied`,
        `plan.vault_not_applied`, `plan.vault_env_unset`.
    """
    try:
        config = tomllib.loads(text.removeprefix(_BOM))
    except tomllib.TOMLDecodeError as error:
        place = _TOML_PLACE.search(str(error))
        where: dict[str, str | int] = {"file": file}
        if place:
            where |= {"line": int(place[1]), "column": int(place[2])}
        finding = Finding(
            code="plan.config_invalid",
            severity=Severity.ERROR,
            message=f"{file} is not valid TOML: {error}",
            hint="Correct the file; the Supabase CLI cannot read it either.",
            where=where,
        )
        return Config(findings=(finding,))
    for remote in _table(config, "remotes").values():
        if project_ref and isinstance(remote, dict) and remote.get("project_id") == project_ref:
            config = _merge(config, remote)
    database = _table(config, "db")
    enabled = _table(database, "migrations").get("enabled", True) is not False
    findings = [
        *([] if enabled else [_disabled(file)]),
        *_seed(_table(database, "seed"), file),
        *_vault(_table(database, "vault"), file, environ),
    ]
    return Config(migrations_enabled=enabled, findings=tuple(findings))


def with_config(folder: Folder, config: Config) -> Folder:
    """The folder as `config.toml` wants it to be treated."""
    findings = (*folder.findings, *config.findings)
    return folder.model_copy(update={"enabled": config.migrations_enabled, "findings": findings})


def _is_old_init(file: str) -> bool:
    found = _OLD_INIT.search(file)
    return found is not None and int(found[1]) < _OLD_INIT_BEFORE


def _skipped(file: str, reason: str) -> Finding:
    severity = Severity.WARNING if file.lower().endswith(".sql") else Severity.INFO
    return Finding(
        code="plan.file_skipped",
        severity=severity,
        message=f"{file} is skipped: {reason}",
        hint="Rename it to apply it." if severity is Severity.WARNING else "",
        where={"file": file},
    )


class _Content:
    """A file's bytes, known by their hash: what is remembered of a file must not hold them a second time."""

    __slots__ = ("_bytes", "digest")

    def __init__(self, content: bytes) -> None:
        self._bytes = content
        self.digest = hashlib.sha256(content).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Content) and other.digest == self.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def take(self) -> bytes:
        """The bytes, once."""
        content, self._bytes = self._bytes, b""
        return content


@lru_cache(maxsize=KEPT_FILES)
def _read_file(file: str, content: _Content) -> tuple[Migration, tuple[Finding, ...]]:
    version, _, name = file.removesuffix(".sql").partition("_")
    text, findings = _decode(file, content.take())
    return Migration(version=version, name=name, file=file, text=text, sha256=content.digest), tuple(findings)


def _decode(file: str, content: bytes) -> tuple[str, list[Finding]]:
    try:
        return content.decode("utf-8").removeprefix(_BOM), []
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
        what = "is UTF-16" if utf16 else f"is not UTF-8: byte 0x{content[error.start]:02x}"
        finding = Finding(
            code="plan.not_utf8",
            severity=Severity.ERROR,
            message=f"{file}, line {line} {what}",
            hint="Save the file as UTF-8.",
            where={"file": file, "line": line},
        )
        return content.decode("utf-8", errors="replace").removeprefix(_BOM), [finding]


def _duplicates(migrations: Sequence[Migration]) -> Iterator[Finding]:
    for version, group in groupby(migrations, key=lambda one: one.version):
        files = [one.file for one in group]
        if len(files) > 1:
            yield Finding(
                code="plan.duplicate_version",
                severity=Severity.ERROR,
                message=f"version {version} belongs to {len(files)} files: {', '.join(files)}",
                hint="Give all but one of them a version of their own; the history can hold only one.",
                where={"version": version, "file": files[1]},
            )


def _table(parent: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = parent.get(key)
    return value if isinstance(value, dict) else {}


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _disabled(file: str) -> Finding:
    return Finding(
        code="plan.migrations_disabled",
        severity=Severity.WARNING,
        message=f"{file} disables migrations (`db.migrations.enabled = false`): nothing is pending",
        hint="Remove that line to deploy.",
        where={"file": file, "field": "db.migrations.enabled"},
    )


def _seed(seed: Mapping[str, Any], file: str) -> Iterator[Finding]:
    if seed.get("enabled", True) is not False and seed.get("sql_paths"):
        yield Finding(
            code="plan.seed_not_applied",
            severity=Severity.INFO,
            message=f"the seed files of {file} are not applied; nor does `supabase db push` without --include-seed",
            where={"file": file, "field": "db.seed"},
        )


def _vault(vault: Mapping[str, Any], file: str, environ: Mapping[str, str]) -> Iterator[Finding]:
    if vault:
        yield Finding(
            code="plan.vault_not_applied",
            severity=Severity.WARNING,
            message=f"the vault secrets of {file} are not written by a deploy: {', '.join(sorted(vault))}",
            hint="Write them with the Supabase CLI or `vault.create_secret` before a migration needs them.",
            where={"file": file, "field": "db.vault"},
        )
    for name, value in vault.items():
        variable = _ENV.fullmatch(value) if isinstance(value, str) else None
        if variable and not environ.get(variable[1]):
            yield Finding(
                code="plan.vault_env_unset",
                severity=Severity.ERROR,
                message=f"{file} takes the vault secret {name} from the variable {variable[1]}, which is not set",
                hint=f"Set {variable[1]}, or remove the secret from the file. (The CLI would skip it silently.)",
                where={"file": file, "field": f"db.vault.{name}"},
            )
