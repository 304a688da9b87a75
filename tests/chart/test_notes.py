"""What Helm prints after an installation: what to do next, with commands that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.main import get_command

from agent.cli.app import app
from tests.support.chart import CHART, VALUES, rendered, run_helm, the


def notes(name: str, tmp_path: Path) -> str:
    """Helm 3 prints them only to a cluster."""
    options = ["--namespace", "apps", "--dry-run=client", "--values", VALUES[name]]
    done = run_helm("4", "install", "shop", CHART, *options, env={"HOME": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    return done.stdout.partition("NOTES:\n")[2]


@pytest.mark.parametrize("name", ["minimal", "placed"])
def test_its_commands_exist(name: str, tmp_path: Path) -> None:
    text = notes(name, tmp_path)
    agent = the("StatefulSet", rendered(name))["metadata"]["name"]
    pod = f"kubectl --namespace apps exec {agent}-0 --container deploy-agent -- deploy-agent "
    commands = re.findall(re.escape(pod) + r"([a-z ]+)$", text, re.MULTILINE)
    assert commands == ["plan", "backup create", "deploy"]
    for command in commands:
        node = get_command(app)
        for word in command.split():
            node = node.commands[word]  # type: ignore[attr-defined]
    assert "helm test shop --namespace apps" in text


def test_it_says_what_is_not_set_up(tmp_path: Path) -> None:
    text = notes("minimal", tmp_path)
    assert "It takes no backups by the clock" in text
    assert "It tells nobody when a deploy fails" in text
    assert "It does not watch the migrations" in text
    assert "up to 330 s" in text


def test_it_does_not_ask_for_what_is_set_up(tmp_path: Path) -> None:
    assert "It takes no backups by the clock" not in notes("volume", tmp_path)
    assert "It tells nobody" not in notes("postgres", tmp_path)
    assert "applies new ones by itself" in notes("git-https", tmp_path)
    assert "up to 5430 s" in notes("postgres", tmp_path)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("job", "as the Job shop-supabase-deploy-agent"),
        ("job-argocd", "The deploy has run before this release."),
        ("job-plain", "The Job shop-supabase-deploy-agent-… deploys now."),
        ("include", "No agent runs by itself"),
    ],
)
def test_other_modes(name: str, said: str, tmp_path: Path) -> None:
    assert said in notes(name, tmp_path)
