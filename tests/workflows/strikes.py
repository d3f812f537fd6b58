"""A path of a job is played, and played again with something that strikes it at one of its events.

The events are counted as a server writes them: what is told to the job, task by task. Between two tasks nothing that
the job does can be cut: a cancellation comes before the one, with it, or after it. A termination leaves what the
outside has by then. A reset keeps what was told before the event, and lets everything after it happen again. An
eviction throws the job's memory away; another worker makes it anew from what was told.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from functools import wraps
from typing import Any

from pydantic import BaseModel
from temporalio import activity
from temporalio.bridge.proto import workflow_activation as activations
from temporalio.bridge.proto import workflow_commands as commands
from temporalio.client import WorkflowUpdateFailedError

from tests.workflows.simulation import MESSENGER, Run, Simulation, instance_of

Job = activations.WorkflowActivationJob
Act = tuple[timedelta, Callable[[], object]]

# What people and time need to bring any job of these to its end.
_PATIENCE = 45
_PATCH = "set_patch_marker"
# The record and Stripe do these once for what they are given, moments aside; crash tests show that of the real ones.
ONCE = frozenset({
    "complete_order", "end_disputed_places", "grant_approval", "pay_back", "place_order", "refund_again",
    "refund_payment", "refund_places", "release_order", "request_refund", "send_mail", "settle_by_hand",
    "settle_payout", "settle_review",
})  # fmt: skip


class Strike(StrEnum):
    """What happens at an event."""

    CANCELED_BEFORE = "canceled before"
    CANCELED_FIRST = "canceled together with, heard first"
    CANCELED_LAST = "canceled together with, heard last"
    CANCELED_AFTER = "canceled after"
    TERMINATED_BEFORE = "terminated before"
    TERMINATED_AFTER = "terminated after"
    RESET = "reset to"


CANCELLATIONS = (Strike.CANCELED_BEFORE, Strike.CANCELED_FIRST, Strike.CANCELED_LAST, Strike.CANCELED_AFTER)
TERMINATIONS = (Strike.TERMINATED_BEFORE, Strike.TERMINATED_AFTER)


@dataclass
class Scene:
    """One path of a job as it is played: what happens when, who decides, and what may be said against the world.

    `wrongs` holds for every world, however the job ended: what must never have happened. `owed` is what is still to be
    done by the record; nothing, unless the job was terminated and `is_found` says that healing finds it. `begins_anew`
    tells the world that from now on things happen that it has seen already.
    """

    simulation: Simulation
    run_id: str
    acts: Sequence[Act] = ()
    decide: Callable[[], object] = lambda: None
    wrongs: Callable[[], list[str]] = list
    owed: Callable[[], list[str]] = list
    is_found: Callable[[], bool] = lambda: False
    begins_anew: Callable[[], None] = lambda: None
    step: timedelta = timedelta(days=1)
    # Whoever has something to say starts a job that is over anew.
    is_revived: bool = False

    @property
    def run(self) -> Run:
        """The run that goes on now."""
        return self.simulation.runs[self.run_id].latest

    def play(self) -> None:
        """The script, then time and people, until it is over."""
        for wait, act in self.acts:
            self.simulation.run_for(wait)
            self._people(act)
        self.settle()

    def settle(self) -> None:
        """Time and people bring it to its end."""
        for _ in range(_PATIENCE):
            if self.run.ended is not None:
                return
            self.simulation.run_for(self.step)
            self._people(self.decide)

    def _people(self, act: Callable[[], object]) -> None:
        # A job that is over takes nothing; a task that is not open cannot be decided.
        with suppress(WorkflowUpdateFailedError):
            if self.run.ended is None or self.is_revived:
                act()


@dataclass
class Messenger:
    """Brings the news to a job, and strikes at one event of it. `events` are those that it has brought."""

    workflow: str
    strike: Strike | None = None
    at: int = -1
    events: list[str] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)

    def __call__(self, run: Run, jobs: list[Job]) -> None:
        if str(run.definition.name) != self.workflow:
            run.hear(jobs)
            return
        is_now = len(self.events) == self.at
        self.events.append(_named(run, jobs))
        if run not in self.runs:
            self.runs.append(run)
        if not is_now or self.strike is None:
            run.hear(jobs)
            return
        match self.strike:
            case Strike.CANCELED_BEFORE if run.history:
                run.hear([_wish()])
                self._hear(run, jobs)
            case Strike.CANCELED_FIRST if run.history:
                run.hear([_wish(), *jobs])
            case Strike.CANCELED_BEFORE | Strike.CANCELED_FIRST | Strike.CANCELED_LAST:
                # A run begins with its start, whatever comes along.
                run.hear([*jobs, _wish()])
            case Strike.CANCELED_AFTER:
                run.hear(jobs)
                self._hear(run, [_wish()])
            case Strike.TERMINATED_BEFORE:
                terminate(run)
            case Strike.TERMINATED_AFTER:
                run.hear(jobs)
                terminate(run)

    @staticmethod
    def _hear(run: Run, jobs: list[Job]) -> None:
        if run.ended is None:
            run.hear(jobs)

    def bring(self, play: Callable[[], None]) -> None:
        """Play with it between the server and the jobs."""
        token = MESSENGER.set(self)
        try:
            play()
        finally:
            MESSENGER.reset(token)


def _wish() -> Job:
    return Job(cancel_workflow=activations.CancelWorkflow(reason="an operator"))


def _named(run: Run, jobs: Sequence[Job]) -> str:
    """What is told, as the Web UI calls it."""
    names = []
    for job in jobs:
        kind = str(job.WhichOneof("variant"))
        match kind:
            case "resolve_activity":
                done = run.attempts[job.resolve_activity.is_local, job.resolve_activity.seq]
                names.append(f"answer of {done.order.activity_type}")
            case "signal_workflow":
                names.append(f"signal {job.signal_workflow.signal_name}")
            case "do_update":
                names.append(f"update {job.do_update.name}")
            case _:
                names.append(kind.replace("_", " "))
    return " + ".join(names)


def terminate(run: Run) -> None:
    """The server ends it where it stands, and its children by their policy."""
    if run.ended is None:
        run.ended = commands.WorkflowCommand()
        run.simulation.close(run)


def was_terminated(run: Run) -> bool:
    """Whether the server has ended it, not itself."""
    return run.ended is not None and run.ended.WhichOneof("variant") is None


# ---- memory that is lost ----


def replayed(run: Run, length: int | None = None) -> Any:
    """The job as another worker makes it, from what was told to it; all of it, or so much.

    Raises:
        AssertionError: It asks for something else than it did.
    """
    assert run.made_of is not None
    held, run.instance = run.instance, instance_of(run.made_of)
    kept = run.history[:length]
    marked = [command.set_patch_marker for _, asked_for in kept for command in asked_for if command.HasField(_PATCH)]
    patches = [Job(notify_has_patch=activations.NotifyHasPatch(patch_id=each.patch_id)) for each in marked]
    try:
        for number, (news, asked_for) in enumerate(kept):
            again = activations.WorkflowActivation()
            again.CopyFrom(news)
            again.is_replaying = True
            if not number:
                again.ClearField("jobs")
                again.jobs.extend([*patches, *news.jobs])
            asked_again = run.told_to(again)
            assert asked_again == asked_for, (
                f"replayed, task {number} of {run.workflow_id} asks for {asked_again}, not for {asked_for}"
            )
        return run.instance
    finally:
        run.instance = held


# ---- reset ----


def reset(run: Run, length: int) -> Run:
    """Another run that keeps so many tasks of this one, and has the rest happen again, as the server does it.

    Steps that were under way then are tried again; what was signaled and asked after that is told to it again.
    """
    simulation = run.simulation
    assert run.made_of is not None
    terminate(simulation.runs[run.workflow_id].latest)
    instance = replayed(run, length)
    fresh = Run(
        simulation, run.definition, run.workflow_id, instance, build=run.build, number=simulation.next_number(),
        made_of=run.made_of, history=run.history[:length],
    )  # fmt: skip
    simulation.runs[run.workflow_id] = fresh
    _take_over(fresh)
    later = [job for news, _ in run.history[length:] for job in news.jobs]
    firsts = [job for job in later if job.HasField("initialize_workflow")]
    told = [job for job in later if job.HasField("signal_workflow") or job.HasField("do_update")]
    seed = activations.UpdateRandomSeed(randomness_seed=simulation.chance.getrandbits(63))
    fresh.inbox = [*(firsts or [Job(update_random_seed=seed)]), *told]
    simulation.after(simulation.latency(), fresh.deliver)
    return fresh


def _take_over(fresh: Run) -> None:  # noqa: PLR0912 - one for each kind of event
    """What was asked for and is not over by what was told."""
    simulation = fresh.simulation
    due, children, running, signals, dropped = {}, {}, {}, {}, []
    for news, asked_for in fresh.history:
        for job in news.jobs:
            match job.WhichOneof("variant"):
                case "fire_timer":
                    due.pop(job.fire_timer.seq, None)
                case "resolve_activity":
                    fresh.attempts[job.resolve_activity.is_local, job.resolve_activity.seq].is_resolved = True
                    fresh.unheard.discard((job.resolve_activity.is_local, job.resolve_activity.seq))
                case "resolve_child_workflow_execution_start":
                    started = job.resolve_child_workflow_execution_start
                    wanted = children.pop(started.seq)
                    if started.HasField("succeeded"):
                        running[started.seq] = wanted
                case "resolve_child_workflow_execution":
                    running.pop(job.resolve_child_workflow_execution.seq, None)
                case "resolve_signal_external_workflow":
                    signals.pop(job.resolve_signal_external_workflow.seq, None)
        for command in asked_for:
            match command.WhichOneof("variant"):
                case "start_timer":
                    wait = command.start_timer.start_to_fire_timeout.ToTimedelta()
                    due[command.start_timer.seq] = news.timestamp.ToDatetime(simulation.now.tzinfo) + wait
                case "cancel_timer":
                    due.pop(command.cancel_timer.seq, None)
                case "schedule_activity":
                    fresh.expect(command.schedule_activity, is_local=False)
                case "schedule_local_activity":
                    fresh.expect(command.schedule_local_activity, is_local=True)
                case "request_cancel_activity":
                    dropped.append((False, command.request_cancel_activity.seq))
                case "request_cancel_local_activity":
                    dropped.append((True, command.request_cancel_local_activity.seq))
                case "start_child_workflow_execution":
                    wanted = command.start_child_workflow_execution
                    children[wanted.seq] = wanted
                case "signal_external_workflow_execution":
                    signals[command.signal_external_workflow_execution.seq] = command.signal_external_workflow_execution
    for seq, moment in due.items():
        fresh.timers.add(seq)
        simulation.at(max(moment, simulation.now), lambda seq=seq: fresh._fire(seq))
    for attempt in fresh.attempts.values():
        if not attempt.is_resolved:
            simulation.after(simulation.latency(), lambda attempt=attempt: fresh._try(attempt))
    for key in dropped:
        fresh._cancel(fresh.attempts[key])
    for wanted in running.values():
        simulation.adopt(fresh, wanted)
    for wanted in children.values():
        simulation.after(simulation.latency(), lambda wanted=wanted: simulation.start_child(fresh, wanted))
    for told in signals.values():
        simulation.after(simulation.latency(), lambda told=told: simulation.pass_on(fresh, told))


@dataclass
class Record:
    """What the outside has been given and has answered: in a second life it does what it has done no second time."""

    simulation: Simulation
    answers: dict[str, object] = field(default_factory=dict)
    is_second_life: bool = False

    def keep(self) -> None:
        """From now on it is kept."""
        for name, step in self.simulation.steps.items():
            if name in ONCE:
                self.simulation.steps[name] = self._kept(name, step)

    def _kept(self, name: str, step: Any) -> Any:
        @wraps(step)
        async def once(*given: object) -> object:
            key = f"{activity.info().workflow_id} {name} {json.dumps([_moments_aside(each) for each in given])}"
            if self.is_second_life and key in self.answers:
                return self.answers[key]
            answer = self.answers[key] = await step(*given)
            return answer

        return once


def _moments_aside(given: object) -> object:
    told = given.model_dump(mode="json") if isinstance(given, BaseModel) else str(given)
    if isinstance(told, dict):
        return {name: each for name, each in told.items() if not name.endswith(("_at", "until"))}
    return told


# ---- every event of a path ----


@dataclass(frozen=True)
class Path:
    """A way through a job. `begin` makes the same scene every time."""

    workflow: str
    name: str
    begin: Callable[[], Scene]


def events_of(path: Path) -> list[str]:
    """What is told to the job on this path, played without a strike but with its memory lost before every event."""
    messenger = _EveryTime(path.workflow)
    scene = path.begin()
    messenger.bring(scene.play)
    assert scene.run.ended is not None, f"{path.workflow}, {path.name}: does not end"
    assert not (complaints := _complaints(scene)), f"{path.workflow}, {path.name}: {complaints}"
    return messenger.events


class _EveryTime(Messenger):
    """Whose worker has forgotten the job whenever there are news."""

    def __call__(self, run: Run, jobs: list[Job]) -> None:
        if str(run.definition.name) == self.workflow and run.history:
            run.instance = replayed(run)
        super().__call__(run, jobs)


def _complaints(scene: Scene) -> list[str]:
    """What is not as it must be after the job has ended by itself."""
    ended = scene.run.ended
    if ended is None:
        return ["it does not end", *scene.wrongs()]
    failed = ended.WhichOneof("variant") == "fail_workflow_execution"
    return [*(["it failed"] if failed else []), *scene.wrongs(), *scene.owed()]


def struck(path: Path, strike: Strike, at: int) -> list[str]:
    """What is wrong after a strike at an event of a path; nothing, if all is well."""
    scene = path.begin()
    if strike is Strike.RESET:
        return _reset_at(path, scene, at)
    messenger = Messenger(path.workflow, strike, at)
    messenger.bring(scene.play)
    if strike in TERMINATIONS:
        owed = scene.owed()
        unfound = owed if owed and not scene.is_found() else []
        return [*scene.wrongs(), *(f"{each}, and nothing finds it" for each in unfound)]
    return _complaints(scene)


def _reset_at(path: Path, scene: Scene, at: int) -> list[str]:
    record, messenger = Record(scene.simulation), Messenger(path.workflow)
    record.keep()
    messenger.bring(scene.play)
    record.is_second_life = True
    scene.begins_anew()
    reset(*_position(messenger.runs, at))
    scene.settle()
    ended = scene.run.ended
    if ended is not None and ended.HasField("fail_workflow_execution") and (not scene.owed() or scene.is_found()):
        # The record does not let it happen again: a job that breaks is looked at, and owes nothing that is not found.
        return scene.wrongs()
    return _complaints(scene)


def _position(runs: Sequence[Run], at: int) -> tuple[Run, int]:
    """The run and the task in it that an event of a path belongs to."""
    for run in runs:
        if at < len(run.history):
            return run, at
        at -= len(run.history)
    raise AssertionError("there is no such event")


def strikes_of(path: Path, *, is_thorough: bool = True) -> Iterator[tuple[Strike, int, str]]:
    """Everything that may strike at every event of a path; or at the first of those that are the same, where the four
    sorts of cancellations take turns."""
    met = set[str]()
    for at, event in enumerate(events_of(path)):
        if event in met and not is_thorough:
            continue
        met.add(event)
        wishes = CANCELLATIONS if is_thorough else (CANCELLATIONS[at % len(CANCELLATIONS)],)
        for strike in (*wishes, *TERMINATIONS, Strike.RESET):
            yield strike, at, event
