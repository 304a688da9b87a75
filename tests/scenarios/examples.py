"""The example projects and their faulty variants, as tests use them."""

from __future__ import annotations

import importlib.util
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
from ruamel.yaml import YAML

from agent.core.runbook import Runbook
from agent.edges.runbook_file import load_runbook_file

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@cache
def _runbook(path: Path) -> Runbook:
    runbook = load_runbook_file(path)
    assert runbook is not None
    return runbook


@dataclass(frozen=True, kw_only=True)
class Project:
    """An example and where its guide's migrations begin."""

    name: str
    migrations: str
    guide_files: tuple[str, ...]

    @property
    def folder(self) -> Path:
        return EXAMPLES / self.name

    @property
    def files(self) -> list[Path]:
        return sorted((self.folder / self.migrations).glob("*.sql"))

    @property
    def base(self) -> list[Path]:
        return [file for file in self.files if file.name not in self.guide_files]

    @property
    def guide(self) -> list[Path]:
        return [self.folder / self.migrations / name for name in self.guide_files]

    @property
    def runbook(self) -> Runbook:
        return _runbook(self.folder / "supabase" / "deploy.yaml")

    def copy_to(self, folder: Path) -> Path:
        """The project without its faults, in a folder of its own."""
        return Path(shutil.copytree(self.folder, folder, ignore=shutil.ignore_patterns("faults", "__pycache__")))

    def generate(self, url: str, rows: int, *, seed: int = 1) -> None:
        spec = importlib.util.spec_from_file_location("generate", self.folder / "generate.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.generate(url, rows, seed=seed)


TRACKS = Project(
    name="tracks-posts",
    migrations="supabase/migrations",
    guide_files=(
        "20250122000000_prepare_tracks_posts_separation.sql",
        "20250122000002_migrate_audio_posts_to_tracks.sql",
        "20250122000003_update_playlist_track_references.sql",
        "20250122000004_finalize_tracks_posts_separation.sql",
    ),
)
MEDIA = Project(
    name="media-gallery",
    migrations="scripts",
    guide_files=(
        "012_create_user_media_table.sql",
        "013_create_artifact_media_table.sql",
        "014_backfill_user_media.sql",
        "015_add_media_performance_indexes.sql",
    ),
)
PROJECTS = {project.name: project for project in (TRACKS, MEDIA)}


def version(file: Path) -> str:
    return file.name.partition("_")[0]


def apply(url: str, *files: Path) -> list[str]:
    """Run each file in a transaction of its own, as postgres; returns the notices."""
    notices: list[str] = []
    for file in files:
        with psycopg.connect(url) as connection:
            connection.add_notice_handler(lambda notice: notices.append(notice.message_primary or ""))
            connection.execute(file.read_bytes())
    return notices


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A faulty variant: an overlay over its project."""

    project: Project
    name: str

    @property
    def folder(self) -> Path:
        return self.project.folder / "faults" / self.name

    @property
    def says(self) -> dict[str, Any]:
        says: dict[str, Any] = YAML(typ="safe").load(self.folder / "fault.yaml")
        return says

    @property
    def guide(self) -> list[Path]:
        """The guide's files as the variant has them."""
        overlaid = [(self.folder / file.relative_to(self.project.folder), file) for file in self.project.guide]
        return [mine if mine.is_file() else theirs for mine, theirs in overlaid]

    def copy_to(self, folder: Path) -> Path:
        """The project with the variant over it."""
        self.project.copy_to(folder)
        keep_out = shutil.ignore_patterns("fault.yaml", "data.sql")
        return Path(shutil.copytree(self.folder, folder, ignore=keep_out, dirs_exist_ok=True))

    def spoil(self, url: str) -> None:
        data = self.folder / "data.sql"
        if data.is_file():
            apply(url, data)


FAULTS = [
    Fault(project=project, name=folder.name)
    for project in PROJECTS.values()
    for folder in sorted((project.folder / "faults").iterdir())
]
