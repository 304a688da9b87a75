"""The agent's clock: APScheduler ticks; the store's cursors say what is due.

A schedule's next slot is a row in the store, moved by compare-and-set: of several agents one runs a slot.
Slots that passed while no agent ran are run once, together. A slot whose agent dies between taking it and
queueing its work is not run again; the next one is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from apscheduler.schedulers.asyncio import AsyncIOScheduler  # type: ignore[import-untyped]  # no types in 3.x
from apscheduler.triggers.base import BaseTrigger  # type: ignore[import-untyped]  # no types in 3.x
from apscheduler.triggers.combining import OrTrigger  # type: ignore[import-untyped]  # no types in 3.x
from apscheduler.triggers.cron import CronTrigger  # type: ignore[import-untyped]  # no types in 3.x
from apscheduler.triggers.interval import IntervalTrigger  # type: ignore[import-untyped]  # no types in 3.x

from agent.errors import AgentError, InputError
from agent.ports import Clock, DeployStore

Enqueue = Callable[[str, str], Awaitable[None]]
"""Queue the work: what kind, and the slot's id `sched:<name>:<time>`, which is never given twice. It must return
soon: the other schedules wait for it."""

_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
}


class Cron:
    """Five fields of crontab(5) in a time zone, with Vixie cron's meaning.

    Sunday is 0 or 7. Where both day fields are restricted, either may match. A time that the clock skips in
    spring runs at the same instant, an hour later by the wall; one that comes twice in autumn runs once, unless
    the hour is given by `*`.

    Args:
        text: for instance `30 2 * * 1-5`, or `@daily`.
        time_zone: a name of the IANA database, for instance `Europe/Berlin`.
        name: the schedule's name, for the error.

    Raises:
        InputError: `settings.bad_cron`.
    """

    def __init__(self, text: str, *, time_zone: str = "UTC", name: str = "") -> None:
        self.text = _ALIASES.get(text.strip(), text.strip())
        self.time_zone = time_zone
        try:
            self._zone = ZoneInfo(time_zone)
        except (ValueError, OSError, LookupError) as error:  # ZoneInfoNotFoundError is a LookupError
            raise _bad(name, f"there is no time zone {time_zone!r}", "time_zone", "Europe/Berlin") from error
        try:
            self._trigger = _trigger(self.text.split(), self._zone)
        except ValueError as error:
            raise _bad(name, f"the cron expression {text!r} cannot be read: {error}", "cron", "30 2 * * 1-5") from error
        self._every_hour = self.text.split()[1].startswith("*")
        if self._next(datetime(2000, 1, 1, tzinfo=UTC)) is None:
            raise _bad(name, f"the cron expression {text!r} never comes true", "cron", "30 2 * * 1-5")

    def after(self, moment: datetime) -> datetime:
        """The first slot after `moment`, in UTC."""
        found = self._next(moment)
        while found is not None and found.fold and not self._every_hour:
            found = self._next(found)
        if found is None:
            raise InputError(f"the cron expression {self.text!r} has no slot after {moment}", code="settings.bad_cron")
        return found.astimezone(UTC)

    def _next(self, moment: datetime) -> datetime | None:
        # Added in UTC: by the wall's clock, adding forgets which of two equal hours it is.
        just_after = moment.astimezone(UTC) + timedelta(microseconds=1)
        found: datetime | None = self._trigger.get_next_fire_time(None, just_after)
        return found


def _trigger(fields: Sequence[str], zone: ZoneInfo) -> BaseTrigger:
    if len(fields) != 5:
        raise ValueError(f"it has {len(fields)} fields, not 5")
    minute, hour, day, month, weekday = fields
    days = _weekdays(weekday)
    if day.startswith("*") or weekday.startswith("*"):
        return CronTrigger(minute=minute, hour=hour, day=day, month=month, day_of_week=days, timezone=zone)
    by_day = CronTrigger(minute=minute, hour=hour, day=day, month=month, timezone=zone)
    by_weekday = CronTrigger(minute=minute, hour=hour, month=month, day_of_week=days, timezone=zone)
    return OrTrigger([by_day, by_weekday])


def _weekdays(field: str) -> str:
    """Names instead of numbers: APScheduler counts weekdays from Monday, cron from Sunday."""
    if field == "*":
        return field
    chosen: set[int] = set()
    for part in field.lower().split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        low, high = (0, 6) if span == "*" else (_weekday(first), _weekday(last or first))
        if step and not last and span != "*":
            high = 6
        if low > high or (step and not step.isdigit()) or step == "0":
            raise ValueError(f"{part!r} is no range of weekdays")
        chosen.update(number % 7 for number in range(low, high + 1, int(step or 1)))
    return ",".join(_WEEKDAYS[number] for number in sorted(chosen))


def _weekday(text: str) -> int:
    if text in _WEEKDAYS:
        return _WEEKDAYS.index(text)
    if text.isdigit() and int(text) <= 7:
        return int(text)
    raise ValueError(f"{text!r} is no weekday")


def _bad(name: str, what: str, field: str, example: str) -> InputError:
    prefix = f"schedule {name}: " if name else ""
    return InputError(
        prefix + what,
        code="settings.bad_cron",
        hint=f"For instance: {field}: {example}",
        where={"field": f"schedules.{field}"},
    )


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """One schedule of the settings. `kind`: backup, verify, prune, health."""

    name: str
    kind: str
    cron: Cron

    @property
    def cursor(self) -> str:
        """The cursor's name; another expression or zone is another cursor."""
        return f"schedule:{self.name}:{self.cron.text}:{self.cron.time_zone}"


class Scheduler:
    """Looks every `tick_s` seconds what is due, and queues it.

    Args:
        store: holds the cursors.
        clock: the time.
        schedules: what to run when; names are unique.
        enqueue: queues the work.
        on_error: told when a tick or an action of `every` failed; the next one tries again.
        tick_s: seconds between two looks.
    """

    def __init__(
        self,
        *,
        store: DeployStore,
        clock: Clock,
        schedules: Sequence[Schedule],
        enqueue: Enqueue,
        on_error: Callable[[AgentError], None],
        tick_s: float = 5.0,
    ) -> None:
        self._store = store
        self._clock = clock
        self._schedules = tuple(schedules)
        self._enqueue = enqueue
        self._on_error = on_error
        self._timer = AsyncIOScheduler(timezone=UTC)
        self._running: set[asyncio.Task[object]] = set()
        self.every("schedules", tick_s, self.tick)

    def every(self, name: str, seconds: float, action: Callable[[], Awaitable[None]]) -> None:
        """Call `action` every so many seconds while the scheduler runs, never twice at once."""

        async def run() -> None:
            task = asyncio.current_task()
            if task is not None:
                self._running.add(task)
                task.add_done_callback(self._running.discard)
            try:
                await action()
            except AgentError as error:
                self._on_error(error)

        trigger = IntervalTrigger(seconds=seconds, timezone=UTC)
        self._timer.add_job(run, trigger, id=name, max_instances=1, coalesce=True, misfire_grace_time=None)

    async def start(self) -> None:
        """Begin to tick, in the running event loop."""
        self._timer.start()

    async def stop(self) -> None:
        """Stop ticking, cancel what runs, and wait until it has ended; does nothing the second time."""
        if self._timer.running:
            self._timer.shutdown(wait=False)
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def tick(self) -> None:
        """Queue what is due now; a schedule that fails does not keep the others waiting."""
        for schedule in self._schedules:
            try:
                await self._look(schedule)
            except AgentError as error:
                self._on_error(error)

    async def _look(self, schedule: Schedule) -> None:
        now = self._clock.now()
        due = await self._store.read_cursor(schedule.cursor)
        if due is None:  # seen for the first time: nothing was missed
            await self._store.move_cursor(schedule.cursor, expected=None, to=schedule.cron.after(now))
            return
        if due > now:
            return
        following = schedule.cron.after(now)
        if not await self._store.move_cursor(schedule.cursor, expected=due, to=following):
            return  # another agent was faster
        try:
            await self._enqueue(schedule.kind, f"sched:{schedule.name}:{due:%Y%m%dT%H%M%SZ}")
        except AgentError:
            await self._store.move_cursor(schedule.cursor, expected=following, to=due)  # the next tick tries again
            raise
