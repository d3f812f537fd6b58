"""Workers whose steps die after each of their effects, one after another, before anybody hears of it."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from tests.chaos.effects import Effect, watched

# The last point of every step: all is done, and only the report is lost.
REPORT = "report"
_AT_ONCE = timedelta(milliseconds=1)
# A mail has five effects.
_MOST_PASSED = 5

Point = tuple[str, str]
"""An activity, and an effect of it with the place that has it (or `REPORT`)."""


class Died(BaseException):
    """The process is gone here: nothing that catches errors may see it as one."""


@dataclass
class Crashes(Interceptor):
    """Each task of an activity dies once after every effect that any of its attempts has, and once before its report.

    A loop dies after its first round and after its second. A task that meets an effect which ends its road (a mail that
    was perhaps sent is not sent again) does not come to those behind it; so each further task of an activity lets one
    more effect pass before it dies for the first time, and `begin_with` moves where the first one begins.
    """

    begin_with: int = 0
    are_deadly: bool = True
    seen: set[Point] = field(default_factory=set)
    died: Counter[Point] = field(default_factory=Counter)
    tasks: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._died: dict[str, set[str]] = defaultdict(set)
        self._passes: dict[str, int] = {}

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        return _Mortal(next, self)

    def steps(self) -> dict[str, list[str]]:
        """What was seen of each activity: the doors its effects went through."""
        doors: dict[str, set[str]] = defaultdict(set)
        for step, place in self.seen:
            doors[step] |= set() if place == REPORT else {place.split(":")[0]}
        return {step: sorted(through) for step, through in sorted(doors.items())}

    def attempt(self) -> "Attempt":
        """The attempt that begins now."""
        info = activity.info()
        task = f"{info.workflow_run_id}/{info.is_local}/{info.activity_id}"
        if task not in self._passes:
            self._passes[task] = (self.tasks[info.activity_type] + self.begin_with) % _MOST_PASSED
            self.tasks[info.activity_type] += 1
        passes, self._passes[task] = self._passes[task], 0
        return Attempt(info.activity_type, self._died[task], passes, self)


@dataclass
class Attempt:
    """One attempt of a step, which may have died."""

    activity_type: str
    died_before: set[str]
    passes: int
    crashes: Crashes
    is_dead: bool = False

    def __post_init__(self) -> None:
        self._rounds: Counter[str] = Counter()

    @contextmanager
    def passing(self, effect: Effect) -> Iterator[None]:
        """Die after the effect, unless this task has done so here before."""
        if self.is_dead:
            # Who is dead has no more effects, whatever is cleaned up on the way out.
            raise Died
        yield
        if effect.is_read:
            return
        place = f"{effect.door}: {effect.what} at {effect.place}"
        self._rounds[place] += 1
        self.reach(place if self._rounds[place] == 1 else f"{place}, again")

    def reach(self, place: str) -> None:
        """Come to a point at which to die. Raises `Died`."""
        point = (self.activity_type, place)
        self.crashes.seen.add(point)
        if not self.crashes.are_deadly or place in self.died_before:
            return
        if self.passes and place != REPORT:
            self.passes -= 1
            return
        self.died_before.add(place)
        self.crashes.died[point] += 1
        self.is_dead = True
        raise Died


class _Mortal(ActivityInboundInterceptor):
    def __init__(self, inner: ActivityInboundInterceptor, crashes: Crashes) -> None:
        super().__init__(inner)
        self._crashes = crashes

    async def execute_activity(self, input: ExecuteActivityInput) -> object:  # noqa: A002 - Temporal's name
        attempt = self._crashes.attempt()
        try:
            with watched(attempt):
                done: object = await super().execute_activity(input)
                attempt.reach(REPORT)
        except BaseException as error:
            if attempt.is_dead:
                raise _death() from None
            raise error
        if attempt.is_dead:
            raise _death()
        return done


def _death() -> ApplicationError:
    return ApplicationError(
        "the worker died", type="died", next_retry_delay=_AT_ONCE, category=ApplicationErrorCategory.BENIGN
    )
