"""docs/man/deploy-agent.1 from the commands: `UPDATE_GOLDENS=1 pytest tests/cli/test_manual.py` writes it."""

from __future__ import annotations

import inspect
import re
from typing import Any, get_args

from typer.models import ArgumentInfo

from agent.cli import exits
from agent.cli.app import HELP, app
from agent.cli.ui import COMMON
from tests.cli.reference import shown_default, shown_name, walk

_PLACES = """\
.SH ENVIRONMENT
.TP
.B DEPLOY_AGENT_DATABASE_URL
The project's database: the direct connection or the session pooler, port 5432.
.TP
.B DEPLOY_AGENT_CONFIG
The settings file, where \\-\\-config is not given.
.TP
.B DEPLOY_AGENT_SECRETS_DIR
A folder of secrets, a file each, such as /run/secrets.
.TP
.B DEPLOY_AGENT_\\fISETTING\\fR, DEPLOY_AGENT_\\fISECTION\\fB__\\fISETTING\\fR
Each setting of the settings file; the environment wins.
.TP
.B NO_COLOR
No colours.
.SH FILES
.TP
.I deploy\\-agent.yaml
The settings.
.TP
.I supabase/migrations/
The migrations, as the Supabase CLI has them.
.TP
.I supabase/deploy.yaml
The runbook; optional.
.TP
.I .deploy\\-agent/
The agent's own memory, and backups where no other target is set.
.SH NOTES
During \\fBdeploy\\fR, Ctrl\\-C or SIGTERM asks it to stop: the agent goes to a safe point, undoes what it did
and says how it ended. A second one says what is still going on.
.PP
The transaction pooler (port 6543) is refused. A URL on the command line shows its password in the machine's process
list; env(NAME) and files do not.
.SH SEE ALSO
.BR pg_dump (1),
.BR pg_restore (1)
"""


def manual() -> str:
    """The whole page, in the macros of man(7)."""
    commands = list(walk(app, "deploy-agent"))
    parts = [
        '.\\" Written by a test from the program itself: UPDATE_GOLDENS=1 pytest tests/cli/test_manual.py\n',
        '.TH DEPLOY\\-AGENT 1 "" "supabase\\-deploy\\-agent" "User Commands"\n',
        ".SH NAME\ndeploy\\-agent \\- backs up, migrates, verifies and restores a Supabase database\n",
        ".SH SYNOPSIS\n.B deploy\\-agent\n[\\fIoptions\\fR] \\fIcommand\\fR [\\fIarguments\\fR]\n",
        f".SH DESCRIPTION\n{_paragraphs(HELP)}",
        f".SH COMMON OPTIONS\n{_options(commands[0][1], common=True)}",
        ".SH COMMANDS\n",
    ]
    for name, callback in commands:
        arguments = _options(callback, common=False)
        parts += [f".SS {_plain(name)}\n", _paragraphs(inspect.getdoc(callback) or ""), arguments]
    parts += [".SH EXIT STATUS\n", *(f".TP\n.B {code}\n{_text(words)}\n" for code, words in exits.table()), _PLACES]
    return "".join(parts)


def _options(callback: Any, *, common: bool) -> str:
    """A tagged paragraph for each argument and option."""
    rows = []
    for parameter in inspect.signature(callback).parameters.values():
        kind, info = get_args(parameter.annotation)
        if (getattr(info, "rich_help_panel", None) == COMMON) is not common:
            continue
        names = shown_name(parameter, kind, info).replace("\\|", "|")
        italic = isinstance(info, ArgumentInfo)
        pieces = names.split("`")
        tag = "".join(_tag(piece, italic=italic) if index % 2 else piece for index, piece in enumerate(pieces))
        rows.append(f".TP\n{tag}\n{_text((info.help or '') + shown_default(parameter, info))}\n")
    return "".join(rows)


def _tag(name: str, *, italic: bool) -> str:
    """An option in bold, what it takes in italics."""
    font = "I" if italic or not name.startswith("-") else "B"
    return f"\\f{font}{_plain(name)}\\fR"


def _paragraphs(text: str) -> str:
    return ".PP\n".join(f"{_text(part)}\n" for part in re.split(r"\n\s*\n", text.strip()))


def _text(text: str) -> str:
    """Words for roff: `code` in bold, nothing at a line's beginning that it would take for a request."""
    pieces = re.split(r"`([^`]*)`", " ".join(text.split()))
    marked = "".join(f"\\fB{_plain(piece)}\\fR" if index % 2 else _plain(piece) for index, piece in enumerate(pieces))
    return f"\\&{marked}" if marked.startswith((".", "'")) else marked


def _plain(text: str) -> str:
    return text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...")
