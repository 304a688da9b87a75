"""The words of a deploy: its headline, the paragraph that says why it ended so, and what to type next."""

from __future__ import annotations

from collections.abc import Sequence

from agent.core.models import Answer, Approval, CheckResult, Failure, RunMode, Severity, Strategy, Verdict
from agent.core.platform_restore import SUPPORT
from agent.core.restore_policy import PLATFORM, RUNG_NAMES, describe
from agent.core.states import State
from agent.core.units import count, duration
from agent.report.collect import TITLES, Story
from agent.report.models import Level, MigrationRow, NextCommand, RungRow, Status
from agent.report.words import clip, listing, sentence, size

SQL_WIDTH = 160
_UNTOUCHED_CAUSES = ("preflight", "snapshot", "backup")  # no migration had begun
PHASE_WORDS = {
    State.QUEUED: "Waiting for a worker",
    State.PREFLIGHT: "Checking that nothing is in the way",
    State.SNAPSHOT: "Recording what the database holds",
    State.BACKUP: "Taking the backup",
    State.MIGRATE: "Applying the migrations",
    State.VERIFY: "Checking the result",
    State.ROLLING_BACK: "Rolling back",
    State.RESTORING: "Restoring from the backup",
}
LEVELS = {
    State.SUCCEEDED: Level.GOOD,
    State.ABORTED: Level.WARNING,
    State.CANCELLED: Level.WARNING,
    State.ROLLED_BACK: Level.WARNING,
    State.RESTORED: Level.WARNING,
    State.NEEDS_OPERATOR: Level.ERROR,
    State.ROLLING_BACK: Level.WARNING,
    State.RESTORING: Level.WARNING,
}


def headline(story: Story, *, seconds: float) -> str:
    """One line: what became of the deploy, or what it does now.

    Args:
        story: what the events told.
        seconds: how long the deploy took, or has taken so far.
    """
    project, short = story.deploy.project, _short_cause(story)
    match story.deploy.state:
        case State.SUCCEEDED:
            line = _deployed(story, seconds=seconds)
        case State.NEEDS_OPERATOR:
            line = f"{project} needs a person: {short}, and the database could not be proven to be as it was before"
        case State.CANCELLED:
            line = f"Cancelled; {project} is as it was before"
        case State.ABORTED:
            line = f"Aborted before {project} was touched: {short}"
        case State.ROLLED_BACK:
            line = f"Rolled back: {short}; {project} is as it was before"
        case State.RESTORED:
            by = (
                "by the platform"
                if any(rung.rung == PLATFORM and rung.ok for rung in story.rungs)
                else "from the backup"
            )
            line = f"Restored {by}: {short}; {project} is as it was before"
        case _:
            line = _doing_now(story)
    return line


def _deployed(story: Story, *, seconds: float) -> str:
    if not story.deploy.versions and not story.migrations:
        return f"Nothing to do: {story.deploy.project} has no pending migration"
    done = count(len(story.applied) or len(story.deploy.versions), "migration")
    tally = story.tally
    checks = f"; {count(tally.passed, 'check')} passed" if tally.total else ""
    checks += f", {count(tally.warnings, 'warning')}" if tally.warnings else ""
    return f"Deployed {done} to {story.deploy.project} in {duration(seconds)}{checks}"


def _short_cause(story: Story) -> str:
    failure = story.failure
    if failure is None:
        return "the cause was not recorded"
    if failure.cause == "cancelled":
        return "it was cancelled"
    if failure.check:
        return f"check {failure.check} did not pass"
    if failure.cause == "preflight" and (problems := [one for one in story.findings if one.severity is Severity.ERROR]):
        check = problems[0].where.get("check")
        first = f"check {check} did not pass" if check else _gist(problems[0].message)
        return f"{first}, and {count(len(problems) - 1, 'more problem')}" if len(problems) > 1 else first
    if _of_a_migration(failure):
        line = f" line {failure.line}" if failure.file and failure.line else ""
        return f"{failure.file or f'migration {failure.version}'}{line} failed"
    return _gist(failure.message)


def _gist(message: str) -> str:
    """A message cut to the length of a headline: where it is too long, what follows a colon goes first."""
    whole = " ".join(message.split()).rstrip(".")
    return whole if len(whole) <= 120 else clip(whole.rpartition(": ")[0] or whole, 120)


def _doing_now(story: Story) -> str:
    if story.waiting is not None:
        return f"Waiting for approval of the {_rung(story.waiting.proposal.rung)} of {story.deploy.project}"
    if story.approvals and story.deploy.state is State.RESTORING:
        last = story.approvals[max(story.approvals)]
        return f"The {_rung(last.proposal.rung)} of {story.deploy.project} was {last.answer} by {last.answered_by}"
    words = PHASE_WORDS.get(story.deploy.state, TITLES[story.deploy.state])
    running = [row for row in story.migrations.values() if row.status is Status.RUNNING]
    if story.deploy.state is State.MIGRATE and running:
        row = running[-1]
        words += f": {row.index} of {row.total}, {label(row)}"
    progress = story.progress
    if progress is not None and progress.percent is not None:
        words += f", {progress.percent:.0f} %"
        words += f", about {duration(progress.eta_s)} left" if progress.eta_s is not None else ""
    if story.deploy.cancel_reason and story.deploy.state not in (State.ROLLING_BACK, State.RESTORING):
        words += " (cancelling)"
    return words


def _rung(number: int) -> str:
    return RUNG_NAMES.get(number, "restore")


def label(row: MigrationRow) -> str:
    """`version_name` as in the file's name, or the version alone."""
    return f"{row.version}_{row.name}" if row.name else row.version


def paragraph(story: Story, *, seconds: float) -> str:
    """Why the deploy ended so, in plain sentences: cause, place, what was undone, how that was proven, hint."""
    state = story.deploy.state
    if state is State.SUCCEEDED:
        return _success(story, seconds=seconds)
    if not story.deploy.is_final and story.failure is None:
        return _under_way(story)
    outcome = "" if story.waiting else _outcome(story)
    parts = [_cause(story), _committed(story), _undone(story), _permission(story), outcome, *_hints(story)]
    return " ".join(part for part in parts if part)


def _success(story: Story, *, seconds: float) -> str:
    if not story.deploy.versions and not story.migrations:
        return "No migration was pending, so nothing was backed up, applied or changed."
    rows = story.applied
    names = listing([label(row) for row in rows]) or listing(list(story.deploy.versions))
    migrate = next((phase.duration_s for phase in story.phases() if phase.state is State.MIGRATE), None)
    took = duration(seconds if migrate is None else migrate)
    parts = [f"Applied {names}{_strategy(story.deploy.strategy)} in {took}."]
    tally = story.tally
    if tally.total:
        soft = f"; {count(tally.warnings, 'check')} only warned" if tally.warnings else ""
        parts.append(f"{count(tally.passed, 'check')} passed{soft}.")
    if story.backup is not None:
        parts.append(f"The state before is kept as backup {story.backup.id} ({size(story.backup.bytes)}).")
    return " ".join(parts)


def _strategy(strategy: Strategy | None) -> str:
    return {
        Strategy.ATOMIC: " in one transaction",
        Strategy.PER_MIGRATION: ", one transaction a file,",
        Strategy.STATEMENT: ", statement by statement,",
    }.get(strategy or Strategy.AUTO, "")


def _under_way(story: Story) -> str:
    parts = [sentence(_doing_now(story))]
    if story.waiting_for_lock and story.lock_waits:
        parts.append(sentence(story.lock_waits[-1].message))
    if story.deploy.cancel_reason:
        parts.append(f"Cancelling was asked for: {sentence(story.deploy.cancel_reason)}")
    return " ".join(parts)


def _cause(story: Story) -> str:
    failure = story.failure
    if failure is None:
        if story.deploy.state is State.CANCELLED:
            return f"The deploy was cancelled{_reason(story.deploy.cancel_reason)}."
        return "The deploy ended without a recorded cause; its events are all that is known."
    if failure.check:
        return _check_sentence(story, failure)
    if _of_a_migration(failure):
        return _migration_sentence(story, failure)
    if failure.cause == "cancelled":
        return f"The deploy was cancelled{_reason(story.deploy.cancel_reason)}."
    introduction = {
        "lost_connection": "The connection to the database was lost: ",
        "preflight": "Preflight refused to go on: ",
        "snapshot": "The snapshot could not be taken: ",
        "backup": "The backup could not be taken: ",
        "agent": f"The agent itself failed ({failure.code}): ",
    }.get(failure.cause, "")
    return f"{introduction}{failure.message.strip().rstrip('.')}." if introduction else sentence(failure.message)


def _of_a_migration(failure: Failure) -> bool:
    """Whether a migration is to blame. What is wrong with the plan names the folder, or a file that never ran."""
    if failure.cause in _UNTOUCHED_CAUSES or failure.code.startswith("plan."):
        return False
    return bool(failure.version) or failure.file.endswith(".sql")


def _reason(text: str) -> str:
    return f" ({clip(text, 120).rstrip('.')})" if text else ""


def _migration_sentence(story: Story, failure: Failure) -> str:
    row = story.migrations.get(failure.version)
    name = f"Migration {label(row)}" if row is not None else f"Migration {failure.version or failure.file}"
    verb = {
        "cancelled": f"was stopped because the deploy was cancelled{_reason(story.deploy.cancel_reason)}",
        "lost_connection": "was cut off: the connection to the database was lost",
    }.get(failure.cause, "failed")
    place = []
    if failure.line:
        place.append(f"at line {failure.line} of {failure.file}" if failure.file else f"at line {failure.line}")
    elif failure.file:
        place.append(f"in {failure.file}")
    if failure.statement:
        of = f" of {row.statements}" if row is not None and row.statements else ""
        place.append(f"statement {failure.statement}{of}")
    text = f"{name} {verb}"
    if place:
        text += (
            f" ({', '.join(place)})" if failure.cause in ("cancelled", "lost_connection") else f" {', '.join(place)}"
        )
    if failure.sql:
        text += f": `{clip(failure.sql, SQL_WIDTH)}`"
    parts = [f"{text}."]
    if failure.cause != "cancelled":
        state = f" (SQLSTATE {failure.sqlstate})" if failure.sqlstate else ""
        who = "The server said" if failure.sqlstate else "The error was"
        parts.append(f"{who}: {failure.message.strip().rstrip('.')}{state}.")
        if failure.detail:
            parts.append(f"Detail: {sentence(failure.detail)}")
    return " ".join(parts)


def _check_sentence(story: Story, failure: Failure) -> str:
    results = [result for result in story.checks.values() if result.id == failure.check]
    bad = [result for result in results if result.verdict is not Verdict.PASSED]
    if not bad:
        return f"Check {failure.check} did not pass: {sentence(failure.message)}"
    result = bad[-1]
    title = f" ({result.title.rstrip('.')})" if result.title and result.title != result.id else ""
    if result.verdict is Verdict.ERRORED:
        reason = (result.observed or failure.message).strip().rstrip(".")
        body = f"could not run{_when(result)}, which counts as a failure: {reason}."
    else:
        body = f"failed{_when(result)}: expected {result.expected}, observed {result.observed.rstrip('.')}."
    others = sum(1 for each in story.checks.values() if each.verdict is not Verdict.PASSED) - 1
    more = f" {count(others, 'other check')} did not pass either." if others > 0 else ""
    return f"Check {result.id}{title} {body}{more}"


def _when(result: CheckResult) -> str:
    if result.phase.startswith("migration:"):
        return f" after migration {result.phase.removeprefix('migration:')}"
    return {"final": " after the last migration", "preflight": " in preflight"}.get(result.phase, "")


def _committed(story: Story) -> str:
    """What had been committed when it failed: whole files, statements; nothing for one transaction over all."""
    failure = story.failure
    if story.deploy.strategy is Strategy.ATOMIC:
        return ""
    done = [label(row) for row in story.applied if failure is None or row.version != failure.version]
    row = story.migrations.get(failure.version) if failure is not None else None
    if failure is not None and row is not None and row.mode == RunMode.NO_TRANSACTION and failure.statement > 1:
        done.append(f"{count(failure.statement - 1, 'statement')} of {label(row)}")
    if not done:
        return ""
    verb = "had" if len(done) > 1 else "had already"
    return f"By then {listing(done)} {verb} been committed."


def _undone(story: Story) -> str:
    parts = []
    for rung in story.rungs:
        if rung.ok or rung.differences:
            parts.append(f"{_done_by(story, rung)}; {_proof(story, rung)}.")
        else:
            parts.append(sentence(f"The {clip(rung.message or f'{rung.name} failed', 300)}"))
    return " ".join(parts)


def _done_by(story: Story, rung: RungRow) -> str:
    backup = f"the backup {story.deploy.backup_id}" if story.deploy.backup_id else "the backup"
    return {
        1: "The open transaction was rolled back",
        2: "The runbook's rollback scripts were run",
        3: f"What the deploy had changed was brought back from {backup}",
        4: f"{backup[0].upper()}{backup[1:]} was restored in place",
        5: "The whole project was brought back by the platform",
    }.get(rung.rung, f"The {rung.name} was done")


def _permission(story: Story) -> str:
    """What a restore would do while people are asked, or why it was not done."""
    if (asked := story.waiting) is not None:
        return f"{sentence(describe(asked.proposal))} {sentence(f'The agent asks: {asked.reason}')}"
    rejected = [one for one in story.approvals.values() if one.answer is Answer.REJECTED]
    if rejected:
        return sentence(f"The {_rung(rejected[-1].proposal.rung)} {_answered(rejected[-1])}")
    held = [row for row in story.proposals.values() if row.verdict == "hold"]
    if held:
        return f"{sentence(describe(held[-1].proposal))} {sentence(f'It was not done: {held[-1].reason}')}"
    approved = [one for one in story.approvals.values() if one.answer is Answer.APPROVED]
    return " ".join(sentence(f"The {_rung(one.proposal.rung)} {_answered(one)}") for one in approved)


def _answered(approval: Approval) -> str:
    remark = f": {approval.remark}" if approval.remark else ""
    return f"was {approval.answer} by {approval.answered_by}{remark}"


def _proof(story: Story, rung: RungRow) -> str:
    snapshot = story.snapshot
    scope = f" ({count(snapshot.tables, 'table')}, {count(snapshot.rows, 'row')})" if snapshot else ""
    if rung.ok:
        return f"compared with the snapshot taken before{scope}, schema and contents are identical"
    found = f"{count(len(rung.differences), 'difference')} from the snapshot remained"
    return f"{found}: {listing([clip(each, 100) for each in rung.differences], most=3)}"


def _outcome(story: Story) -> str:
    match story.deploy.state:
        case State.ABORTED:
            return "Nothing in the database was changed."
        case State.CANCELLED:
            return "" if story.rungs else "Nothing in the database was changed."
        case State.ROLLED_BACK | State.RESTORED:
            return "" if story.rungs else "The database is as it was before the deploy."
        case State.NEEDS_OPERATOR:
            return "The agent has stopped and changes nothing more: a person has to decide."
    return sentence(_doing_now(story))


def _hints(story: Story) -> list[str]:
    failure = story.failure
    if failure is None:
        return []
    advice = " ".join(sentence(hint) for hint in failure.runbook_hints)
    hints = [f"The runbook says: {advice}"] if advice else []
    checks = [result.hint for result in story.checks.values() if result.id == failure.check and result.hint]
    said = " ".join(failure.runbook_hints)
    own = [hint for hint in dict.fromkeys([*checks[-1:], failure.hint]) if hint and hint not in said]
    return hints + [f"Hint: {sentence(hint)}" for hint in own]


def next_commands(story: Story) -> tuple[NextCommand, ...]:
    """What to type now, in this order; empty after a success."""
    deploy, state = story.deploy, story.deploy.state
    show = NextCommand(command=f"deploy-agent show {deploy.id}", why="the whole story with every check")
    if not deploy.is_final:
        return _commands_meanwhile(story)
    retry = [
        NextCommand(command="deploy-agent plan", why="after the correction: see what would run now"),
        NextCommand(command="deploy-agent deploy", why="try again"),
    ]
    match state:
        case State.NEEDS_OPERATOR:
            return tuple(_operator_commands(story, show))
        case State.ABORTED:
            return (NextCommand(command="deploy-agent doctor", why="see what is in the way"), *retry)
        case State.CANCELLED:
            return (retry[1],)
        case State.ROLLED_BACK | State.RESTORED:
            return (show, *retry)
    return ()


def _commands_meanwhile(story: Story) -> tuple[NextCommand, ...]:
    deploy = story.deploy
    if story.waiting is not None:
        answer = f"deploy-agent approve {deploy.id}"
        yes = NextCommand(command=answer, why="see what the restore would do, and let it")
        return (yes, NextCommand(command=f"{answer} --reject", why="leave the database to people"))
    follow = NextCommand(command=f"deploy-agent events {deploy.id} --follow", why="watch it")
    stop = NextCommand(command=f"deploy-agent cancel {deploy.id}", why="stop it; the database goes back")
    return (follow, stop) if not deploy.cancel_reason else (follow,)


def _operator_commands(story: Story, show: NextCommand) -> Sequence[NextCommand]:
    backup = story.deploy.backup_id or (story.backup.id if story.backup else "")
    if story.failure is not None and SUPPORT in story.failure.hint:  # the platform may be at work: no other restore now
        return [
            show,
            NextCommand(command="deploy-agent status", why="see which migrations the database has, once it is back"),
            NextCommand(command="deploy-agent salvage list", why="find what the application wrote meanwhile"),
        ]
    commands = [show, NextCommand(command="deploy-agent verify", why="run the runbook's final checks as it is now")]
    if backup:
        commands += [
            NextCommand(
                command=f"deploy-agent backup verify {backup}", why="make sure that the backup is whole before using it"
            ),
            NextCommand(
                command=f"deploy-agent restore {backup}",
                why="bring the database back to the state before the deploy; asks before it starts",
            ),
        ]
    commands.append(NextCommand(command="deploy-agent plan", why="see which migrations the database has"))
    return commands
