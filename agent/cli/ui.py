"""What every command shares: the options --config, --json, --no-color, -v; output, errors, signals."""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, get_type_hints

import typer

from agent import __version__
from agent.cli import exits
from agent.cli.allocator import share_one_arena
from agent.errors import AgentError

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from rich.console import Console, RenderableType

    from agent.cli._service import Service
    from agent.core.redaction import Redactor
    from agent.settings import Live, Settings

COMMON = "Common options"
PLAIN_WIDTH = 120

Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        help="Settings file. Default: DEPLOY_AGENT_CONFIG, then deploy-agent.yaml.",
        show_default=False,
        rich_help_panel=COMMON,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, nothing else.", rich_help_panel=COMMON)]
NoColor = Annotated[bool, typer.Option("--no-color", help="No colours (also: NO_COLOR).", rich_help_panel=COMMON)]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Show the agent's log on stderr.", rich_help_panel=COMMON)
]


class Interrupts:
    """Ctrl-C and SIGTERM. Without a listener the command's task is cancelled and cleans up."""

    def __init__(self) -> None:
        self.count = 0
        self.last = signal.SIGINT
        self.task: asyncio.Task[Any] | None = None
        self.listener: Callable[[int], None] | None = None

    def __call__(self, number: signal.Signals) -> None:
        """A signal came."""
        self.count += 1
        self.last = number
        if self.listener is not None:
            self.listener(self.count)
        elif self.task is not None:
            self.task.cancel()


@dataclass
class Ui:
    """The terminal of one command: what was asked for, where output goes, and the code it will exit with."""

    config: Path | None = None
    as_json: bool = False
    no_color: bool = False
    verbose: bool = False
    interrupts: Interrupts = field(default_factory=Interrupts)
    exit_code: int = 0
    _settings: Settings | None = None
    _out: Console | None = None
    _err: Console | None = None

    @property
    def out(self) -> Console:
        """Results go here: stdout."""
        self._out = self._out or self._console(stderr=False)
        return self._out

    @property
    def err(self) -> Console:
        """Errors and remarks go here: stderr."""
        self._err = self._err or self._console(stderr=True)
        return self._err

    def _console(self, *, stderr: bool) -> Console:
        from rich.console import Console

        stream = sys.stderr if stderr else sys.stdout
        width = None if stream.isatty() or os.environ.get("COLUMNS") else PLAIN_WIDTH
        return Console(
            stderr=stderr, no_color=self.no_color or None, highlight=False, markup=False, emoji=False, width=width
        )

    def settings(self) -> Settings:
        """The settings, read once; logging is set up with their secrets."""
        if self._settings is None:
            from agent.core.redaction import Redactor
            from agent.settings import load_settings

            self._settings = settings = load_settings(self.config)
            self._log(settings, Redactor(settings.secrets()), loud=self.verbose)
        return self._settings

    def live(self) -> Live:
        """The settings for a service: what it logs, and what changes in them while it runs."""
        import logging

        from agent.core.redaction import Redactor
        from agent.settings import Live, load

        first = load(self.config)
        self._settings = first.settings
        redactor = Redactor(first.settings.secrets())
        self._log(first.settings, redactor, loud=True)

        def tell(message: str, fields: dict[str, object]) -> None:
            level = logging.WARNING if fields.get("code") or not fields else logging.INFO
            logging.getLogger("agent").log(level, message, extra=fields)

        return Live(first, read=lambda: load(self.config), tell=tell, redactor=redactor)

    def _log(self, settings: Settings, redactor: Redactor, *, loud: bool) -> None:
        from agent.cli.log import configure_logging

        level = settings.log.level if loud else "error"
        configure_logging(level=level, format=settings.log.format, redactor=redactor)

    def log_without_settings(self) -> None:
        """Logging for a command that reads no settings: errors on stderr, everything with --verbose."""
        from agent.cli.log import configure_logging
        from agent.core.redaction import Redactor

        configure_logging(level="info" if self.verbose else "error", format="auto", redactor=Redactor())

    def service(self) -> AbstractAsyncContextManager[Service]:
        """The agent, opened with the settings."""
        from agent.cli import _service

        return _service.open_service(self.settings())

    def show(self, *renderables: RenderableType) -> None:
        """Print for people; nothing with --json."""
        if renderables and not self.as_json:
            put(self.out, *renderables)

    def remark(self, text: str) -> None:
        """One line on stderr that is no result."""
        self.err.print(text, style="dim", soft_wrap=True)

    def document(self, value: object) -> None:
        """Print one JSON document, with --json only."""
        if self.as_json:
            self._write(to_json(value, indent=2))

    def line(self, value: object) -> None:
        """Print one JSON line."""
        self._write(to_json(value))

    def _write(self, text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def confirm(self, question: str, *, yes: bool) -> None:
        """Ask before something that cannot be undone by itself.

        Raises:
            InputError: `input.not_confirmed`: the answer is no, or there is no terminal to ask at.
        """
        from agent.errors import InputError

        if yes:
            return
        if not sys.stdin.isatty() or self.as_json:
            raise InputError(
                "this needs a yes, and there is no terminal to ask at", code="input.not_confirmed", hint="Give --yes."
            )
        if not typer.confirm(question, err=True):
            raise InputError("not confirmed; nothing was done", code="input.not_confirmed")

    def fail(self, error: AgentError) -> None:
        """Show an error: one block on stderr; with --json also as the document on stdout."""
        self.exit_code = error.exit_code
        if self.as_json:
            self._write(to_json({"error": {**error.as_dict(), "exit_code": error.exit_code}}))
            return
        from agent.cli.render.blocks import error_block

        put(self.err, error_block(error))

    def bug(self, error: BaseException) -> None:
        """Show an error that nobody foresaw: where its traceback lies, and never the traceback itself."""
        place = write_crash(error, self._settings)
        kind = type(error).__name__
        self.fail(
            AgentError(
                f"the agent failed in a way it does not know ({kind})",
                code="agent.bug",
                hint=f"The details are in {place}; please report them. Known secrets are masked; look before sending.",
                where={"log": str(place)},
            )
        )


def put(console: Console, *renderables: RenderableType) -> None:
    """Print; away from a terminal without the blanks that fill up a line."""
    if console.is_terminal:
        console.print(*renderables, sep="\n")
        return
    with console.capture() as capture:
        console.print(*renderables, sep="\n")
    for line in capture.get().splitlines():
        console.file.write(line.rstrip() + "\n")
    console.file.flush()


def to_json(value: object, *, indent: int | None = None) -> str:
    """A model, or anything made of them, as JSON text."""
    import json

    return json.dumps(value, indent=indent, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever json does not know
    dump = getattr(value, "model_dump", None)
    return dump(mode="json") if dump is not None else str(value)


def write_crash(error: BaseException, settings: Settings | None) -> Path:
    """Write the redacted traceback where people find it: `logs` in the state folder, else the temporary folder."""
    import tempfile
    import time

    from agent.core.redaction import redact

    secrets = settings.secrets() if settings is not None else ()
    text = redact("".join(traceback.format_exception(error)), secrets)
    head = f"deploy-agent {__version__}, Python {sys.version.split()[0]}, {' '.join(sys.argv[1:2])}\n"
    name = f"crash-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{os.getpid()}.log"
    folder = (settings.state_dir if settings is not None else Path(".deploy-agent")) / "logs"
    for place in (folder, Path(tempfile.gettempdir())):
        with suppress(OSError):
            if settings is not None:
                place.mkdir(parents=True, exist_ok=True, mode=0o700)
            path = place / name
            path.touch(mode=0o600)
            path.write_text(head + text, encoding="utf-8")
            return path
    sys.stderr.write(text)
    return Path("/dev/stderr")


Command = Callable[..., Awaitable[None] | None]


def command(app: typer.Typer, name: str, **options: Any) -> Callable[[Command], Command]:  # noqa: ANN401 - Typer's own
    """Register `async def name(ui, …)` as a command with the common options.

    The docstring is the help text. What it raises is shown as one block and becomes the exit code.
    """

    def register(function: Command) -> Command:
        hints = get_type_hints(function, include_extras=True)
        own = [each for each in inspect.signature(function).parameters.values() if each.name != "ui"]
        common = {
            "config": (Config, None),
            "as_json": (AsJson, False),
            "no_color": (NoColor, False),
            "verbose": (Verbose, False),
        }
        parameters = [
            inspect.Parameter(
                each.name, inspect.Parameter.KEYWORD_ONLY, default=each.default, annotation=hints[each.name]
            )
            for each in own
        ] + [
            inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint)
            for key, (hint, default) in common.items()
        ]

        def run(**arguments: Any) -> None:  # noqa: ANN401 - Typer's values
            ui = Ui(**{key: arguments.pop(key) for key in common})
            execute(ui, lambda: function(ui, **arguments))

        run.__name__ = function.__name__
        run.__doc__ = function.__doc__
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # read by inspect.signature
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        app.command(name, **options)(run)
        return function

    return register


def execute(ui: Ui, call: Callable[[], Awaitable[None] | None]) -> NoReturn:
    """Run a command to its end and exit with its code. No traceback ever reaches the user."""
    try:
        result = call()
        if inspect.isawaitable(result):
            share_one_arena()
            asyncio.run(_supervised(ui, result))
    except AgentError as error:
        ui.fail(error)
    except BrokenPipeError:
        # The reader (`| head`) has left; keep the interpreter from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        ui.exit_code = 0
    except (KeyboardInterrupt, asyncio.CancelledError):
        ui.exit_code = exits.TERMINATED if ui.interrupts.last == signal.SIGTERM else exits.INTERRUPTED
        ui.remark("Interrupted.")
    except typer.Exit as error:
        ui.exit_code = error.exit_code
    except Exception as error:  # noqa: BLE001 - the last line of defence
        ui.bug(error)
    raise typer.Exit(ui.exit_code)


async def _supervised(ui: Ui, work: Awaitable[None]) -> None:
    """Run the command with Ctrl-C and SIGTERM led to `ui.interrupts`."""
    loop = asyncio.get_running_loop()
    ui.interrupts.task = asyncio.ensure_future(_await(work))
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ui.interrupts, number)
    try:
        await ui.interrupts.task
    except BaseExceptionGroup as group:
        raise _first(group) from group
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


async def _await(work: Awaitable[None]) -> None:
    await work


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error worth showing of several that came together: one of the agent's own if there is one."""
    errors: Iterable[BaseException] = _leaves(group)
    return next((each for each in errors if isinstance(each, AgentError)), next(iter(_leaves(group))))


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    return [
        leaf
        for each in group.exceptions
        for leaf in (_leaves(each) if isinstance(each, BaseExceptionGroup) else [each])
    ]
