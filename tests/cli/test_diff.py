"""What `deploy-agent diff` prints."""

from __future__ import annotations

import json
from collections.abc import Callable

from agent.core.catalog import CatalogDiff, Change, Detail
from tests.cli.conftest import Cli
from tests.cli.scripted import RECORD

Golden = Callable[[str, str], None]


def test_diff(cli: Cli, golden: Golden):
    cli.agent.diff_found = CatalogDiff(
        created=(Change(identity="relation:public.tracks", kind="table"),),
        dropped=(
            Change(
                identity="function:public.slug(title text)",
                kind="function",
                dependents=("index:public.posts_slug_idx", "relation:public.feed"),
            ),
        ),
        altered=(
            Change(
                identity="column:public.posts.title",
                kind="column",
                details=(
                    Detail(what="definition", before="2 text", now="2 character varying(80)"),
                    Detail(
                        what="not_null", before="", now="ALTER TABLE ONLY public.posts ALTER COLUMN title SET NOT NULL"
                    ),
                ),
                dependents=("relation:public.feed",),
            ),
            Change(
                identity="function:public.stamp()",
                kind="function",
                details=(
                    Detail(what="source", before="BEGIN\n  a;\n  b;\n  c;\nEND", now="BEGIN\n  a;\n  d;\n  c;\nEND"),
                ),
            ),
        ),
    )
    result = cli.run("diff")
    golden("diff", result.stdout)
    assert result.exit_code == 0
    assert cli.agent.asked == [("diff", "")]


def test_diff_without_differences(cli: Cli):
    result = cli.run("diff", RECORD.id)
    assert result.stdout == f"Nothing differs from backup {RECORD.id} of 2026-03-01 02:00 UTC.\n"
    assert json.loads(cli.run("diff", "--json").stdout)["equal"] is True
