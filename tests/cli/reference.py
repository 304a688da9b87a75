"""docs/cli.md from the commands themselves: `UPDATE_GOLDENS=1 pytest tests/cli/test_reference.py` writes it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer
from typer.models import ArgumentInfo, OptionInfo

from agent.cli import exits
from agent.cli.app import HELP, app
from agent.cli.ui import COMMON

_HEAD = """\
# The command line

Written by a test from the program itself; change it there (`UPDATE_GOLDENS=1 pytest tests/cli/test_reference.py`).
Also a [man page](man/deploy-agent.1). Completion for bash, zsh and fish: [start.md](start.md#completion-and-man-page).

"""
_RULES = """
Results go to stdout, logs and remarks to stderr. With `--json` stdout holds one JSON document, or one JSON object a
line (`deploy`, `events`, `demo`); an error is then `{"error": {"code", "message", "hint", "where", "exit_code"}}`.
Error codes: [errors.md](errors.md). Settings: [agent.example.yaml](../config/agent.example.yaml).

Ctrl-C or SIGTERM during `deploy` asks it to stop: the agent goes to a safe point, undoes what it did and says how it
ended. A second one says what is still going on. A deploy that waits for an approval goes on waiting without the
command. Other commands end at once.

"""


def reference() -> str:
    """The whole page."""
    commands = list(walk(app, "deploy-agent"))
    parts = [_HEAD, HELP.strip(), "\n", _RULES, "## Exit codes\n\n| code | meaning |\n| --- | --- |\n"]
    parts += [f"| {code} | {words} |\n" for code, words in exits.table()]
    parts += ["\n## Options of every command\n\n", options_table(commands[0][1], common=True)]
    for name, callback in commands:
        doc = inspect.cleandoc(callback.__doc__ or "")
        parts += [f"\n## {name}\n\n{doc}\n"]
        table = options_table(callback, common=False)
        parts += [f"\n{table}"] if table else []
    return "".join(parts)


def walk(group: typer.Typer, prefix: str) -> Iterator[tuple[str, Any]]:
    """Every command with its full name, in the order of `--help`."""
    for command in group.registered_commands:
        yield f"{prefix} {command.name}", command.callback
    for sub in group.registered_groups:
        assert sub.typer_instance is not None
        yield from walk(sub.typer_instance, f"{prefix} {sub.name}")


def options_table(callback: Any, *, common: bool) -> str:
    rows = []
    for parameter in inspect.signature(callback).parameters.values():
        kind, info = get_args(parameter.annotation)
        if (getattr(info, "rich_help_panel", None) == COMMON) is not common:
            continue
        rows.append(f"| {shown_name(parameter, kind, info)} | {info.help or ''}{shown_default(parameter, info)} |\n")
    return f"| | |\n| --- | --- |\n{''.join(rows)}" if rows else ""


def shown_name(parameter: inspect.Parameter, kind: Any, info: OptionInfo | ArgumentInfo) -> str:
    """The option's names with its value, as one types them; in `Annotated`, Typer keeps the first as `default`."""
    if isinstance(info, ArgumentInfo):
        return f"`{info.metavar or parameter.name.upper()}`"
    names = [each for each in (info.default, *(info.param_decls or ())) if isinstance(each, str)]
    flag = isinstance(parameter.default, bool)
    literal = next((each for each in (kind, *get_args(kind)) if get_origin(each) is Literal), None)
    kinds = {kind, *get_args(kind)}
    word = "N" if kinds & {int, float} else "FILE" if Path in kinds else "TEXT"
    value = "\\|".join(get_args(literal)) if literal else info.metavar or word
    return ", ".join(f"`{name}`" for name in names) + ("" if flag else f" `{value}`")


def shown_default(parameter: inspect.Parameter, info: OptionInfo | ArgumentInfo) -> str:
    value = parameter.default
    if value in (inspect.Parameter.empty, None, "") or isinstance(value, bool) or not info.show_default:
        return ""
    return f" Default: `{value:g}`." if isinstance(value, int | float) else f" Default: `{value}`."
