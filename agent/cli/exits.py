"""Exit codes: how a deploy ended, or which family of error stopped the command."""

from __future__ import annotations

from agent.core.states import EXIT_CODES, State
from agent.errors import AgentError

BUG = 1
USAGE = 2
REFUSED = EXIT_CODES[State.ABORTED]
CHECKS_FAILED = 17
INTERRUPTED = 130
TERMINATED = 143

_DEPLOY_WORDS = {
    State.SUCCEEDED: "done; the deploy succeeded, or there was nothing to do",
    State.ABORTED: "refused before the database was touched (deploy, plan, doctor)",
    State.CANCELLED: "cancelled; the database is as it was",
    State.ROLLED_BACK: "the deploy failed and was rolled back; the database is as it was",
    State.RESTORED: "the deploy failed and the backup was restored; the database is as it was",
    State.NEEDS_OPERATOR: "the deploy failed and a person is needed",
}


def table() -> list[tuple[int, str]]:
    """Every exit code and its meaning, in order."""
    rows = {EXIT_CODES[state]: words for state, words in _DEPLOY_WORDS.items()}
    rows |= {
        BUG: "a bug in the agent; the message names the log",
        USAGE: "the command line is wrong",
        CHECKS_FAILED: "`verify`: a check did not pass",
        INTERRUPTED: "interrupted with Ctrl-C",
        TERMINATED: "ended by SIGTERM",
    }
    for error in _families(AgentError):
        if error.exit_code not in rows:
            rows[error.exit_code] = (
                (error.__doc__ or "").splitlines()[0].rstrip(".").replace("The agent's own", "the agent's own")
            )
    return sorted((code, words[0].lower() + words[1:]) for code, words in rows.items())


def _families(parent: type[AgentError]) -> list[type[AgentError]]:
    return [each for child in parent.__subclasses__() for each in (child, *_families(child))]


def epilog() -> str:
    """The exit codes as shown under `--help`."""
    lines = [f"{code:>3}  {words}" for code, words in table()]
    return "\n\n".join(["Exit codes:", "\n".join(lines)])
