"""Files that are made from the code: `python -m tests.support.generated` writes them, tests hold them in step."""

from __future__ import annotations

import json
from pathlib import Path

from agent.core.runbook_io import json_schema
from tests.support import chart_values
from tests.support.dashboard import dashboard_json
from tests.support.diagram import with_diagram
from tests.support.licences import report
from tests.support.permissions import with_permissions
from tests.support.runbook_reference import with_reference

ROOT = Path(__file__).resolve().parent.parent.parent
SCHEMA = ROOT / "config" / "runbook.schema.json"
DOCUMENT = ROOT / "docs" / "runbook.md"
LICENCES = ROOT / "docs" / "licences.md"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
PLATFORM = ROOT / "docs" / "platform.md"
DASHBOARD = ROOT / "config" / "grafana" / "dashboard.json"
RULES = ROOT / "config" / "prometheus" / "rules.yaml"
CHART_FILES = chart_values.CHART / "files"


def wanted() -> dict[Path, str]:
    """Each file and the text it must have."""
    return {
        SCHEMA: json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n",
        LICENCES: report(),
        DOCUMENT: with_reference(DOCUMENT.read_text(encoding="utf-8")),
        DASHBOARD: dashboard_json(),
        CHART_FILES / "dashboard.json": dashboard_json(),
        CHART_FILES / "rules.yaml": RULES.read_text(encoding="utf-8"),
        chart_values.SCHEMA: json.dumps(chart_values.schema(), indent=2, ensure_ascii=False) + "\n",
        chart_values.README: chart_values.with_values(chart_values.README.read_text(encoding="utf-8")),
        PLATFORM: with_permissions(PLATFORM.read_text(encoding="utf-8")),
        ARCHITECTURE: with_diagram(ARCHITECTURE.read_text(encoding="utf-8")),
    }


if __name__ == "__main__":
    for path, text in wanted().items():
        path.write_text(text, encoding="utf-8")
