"""The man page says what the program says, and bash and zsh complete its commands."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.manual import manual
from tests.support.needs import cannot_run

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "man" / "deploy-agent.1"
PROGRAM = Path(sys.executable).with_name("deploy-agent")


def test_the_man_page_is_in_step():
    text = manual()
    if os.environ.get("UPDATE_GOLDENS"):
        PAGE.write_text(text, encoding="utf-8")
    assert text == PAGE.read_text(encoding="utf-8")


def test_the_man_page_is_ascii_and_every_line_is_text_or_a_known_macro():
    text = manual()
    assert text.isascii()
    macros = {line.split()[0] for line in text.splitlines() if line.startswith(".")}
    assert macros <= {'.\\"', ".TH", ".SH", ".SS", ".TP", ".PP", ".B", ".BR", ".I"}
    assert not any(line.startswith("'") or not line for line in text.splitlines())


def shell(name: str, script: str) -> list[str]:
    """The lines that a shell prints; `deploy-agent` is on its PATH."""
    found = shutil.which(name)
    if not found:
        cannot_run(f"{name} is not installed")
    env = {"PATH": f"{PROGRAM.parent}:{os.environ['PATH']}", "HOME": "/nonexistent", "LANG": "C.UTF-8"}
    args = [found, "--norc"] if name == "bash" else [found, "-f"]
    done = subprocess.run([*args, "-c", script], capture_output=True, text=True, env=env, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("deploy-agent bac", ["backup"]),
        ("deploy-agent backup ver", ["verify"]),
        ("deploy-agent deploy --str", ["--strategy"]),
        ("deploy-agent deploy --strategy per", ["per_migration"]),
    ],
)
def test_bash_completes(words: str, wanted: list[str]):
    script = f"""
        source <(_DEPLOY_AGENT_COMPLETE=source_bash deploy-agent)
        COMP_WORDS=({words})
        COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
        _deploy_agent_completion deploy-agent
        printf '%s\\n' "${{COMPREPLY[@]}}"
        complete -p deploy-agent
    """
    *replies, registered = shell("bash", script)
    assert replies == wanted
    assert registered == "complete -o default -F _deploy_agent_completion deploy-agent"


def test_zsh_completes():
    script = """
        autoload -U compinit
        compinit -D -u
        source <(_DEPLOY_AGENT_COMPLETE=source_zsh deploy-agent)
        print -r -- $_comps[deploy-agent]
        _arguments() { print -r -- "$1" }
        words=(deploy-agent backup v) CURRENT=3
        _deploy_agent_completion
    """
    registered, offered = shell("zsh", script)
    assert registered == "_deploy_agent_completion"
    assert offered.startswith('*: :(("verify":"Read a backup again')
