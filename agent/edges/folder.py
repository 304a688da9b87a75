"""The migrations folder on disk."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from agent.core.migrations import Folder, is_migration, read_config, read_folder, with_config
from agent.errors import InputError


def load_folder(path: Path, *, environ: Mapping[str, str], project_ref: str = "") -> Folder:
    """Read a folder of migrations, and the `config.toml` beside a folder called `migrations`.

    Folders in the folder are left out, as the CLI does; a link counts as a file. A folder behind a link that others
    turn to a newer version (git-sync, a ConfigMap) is read where the link points when reading begins: files of two
    versions are never mixed.

    Args:
        path: the folder, for instance `supabase/migrations` or `scripts`.
        environ: environment variables that `config.toml` may name.
        project_ref: the target's ref, for `[remotes.*]` in `config.toml`; "" if it has none.

    Raises:
        InputError: `input.migrations_missing`, `input.migrations_not_a_folder`, `input.migrations_unreadable`.
    """
    here = _behind_links(path)
    config = here.parent / "config.toml"
    versions = here / "..data"  # the kubelet's link to what a ConfigMap holds now
    try:
        with os.scandir(_behind_links(versions) if versions.is_symlink() else here) as entries:
            files = {
                entry.name: Path(entry.path).read_bytes() if is_migration(entry.name) else b""
                for entry in entries
                if entry.is_symlink() or not entry.is_dir()
            }
        text = config.read_text(encoding="utf-8") if path.name == "migrations" and config.is_file() else None
    except FileNotFoundError as error:
        raise InputError(
            f"there is no {error.filename}",
            code="input.migrations_missing",
            hint="Run it in the folder that holds supabase/, or set `migrations` (DEPLOY_AGENT_MIGRATIONS).",
            where={"file": str(error.filename)},
        ) from error
    except NotADirectoryError as error:
        raise InputError(
            f"{path} is not a folder",
            code="input.migrations_not_a_folder",
            hint="Set `migrations` to the folder, not to a file in it.",
            where={"file": str(path)},
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        place = getattr(error, "filename", None) or path.parent / "config.toml"
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise InputError(
            f"{place} cannot be read: {reason}",
            code="input.migrations_unreadable",
            hint="Check the file, and that the agent's user may read it.",
            where={"file": str(place)},
        ) from error
    folder = read_folder(files, label=str(path))
    if text is None:
        return folder
    return with_config(folder, read_config(text, file=str(config), environ=environ, project_ref=project_ref))


def _behind_links(path: Path) -> Path:
    """Where it is now; as it was given if no link is on the way."""
    found = path.resolve()
    return path if found == path.absolute() else found
