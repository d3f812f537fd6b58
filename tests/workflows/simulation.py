"""Workflows in a simulated cluster: one thread, one seed, and a clock that jumps from one event to the next.

The workflow code is run by the SDK's own interpreter (`UnsandboxedWorkflowRunner`), which is handed what a server's
events become. What a server and a network decide by accident is decided here by a seeded chance: how
long a step takes, whether its answer gets lost after it was done, how late a worker hears of news, and which news come
to it together. So thousands of orders can be played in seconds, and one that went wrong can be played again.
"""

import asyncio
import heapq
import itertools
import random
import re
import threading
from collections.abc import Callable, Coroutine, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, TypeVar, cast

from google.protobuf.duration_pb2 import Duration
from temporalio import activity, workflow
from temporalio.api.common.v1 import ActivityType, Payload, Payloads, WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import RetryState, TimeoutType, WorkflowIdReusePolicy
from temporalio.api.failure.v1 import (
    ActivityFailureInfo,
    ApplicationFailureInfo,
    CanceledFailureInfo,
    ChildWorkflowExecutionFailureInfo,
    Failure,
    TimeoutFailureInfo,
)
from temporalio.bridge.proto import activity_result as results
from temporalio.bridge.proto import child_workflow as children
from temporalio.bridge.proto import workflow_activation as activations
from temporalio.bridge.proto import workflow_commands as commands
from temporalio.client import WorkflowUpdateFailedError
from temporalio.common import (
    MetricMeter,
    Priority,
    RetryPolicy,
    SearchAttributes,
    TypedSearchAttributes,
    _CompositeEvent,
)
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DefaultFailureConverter
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, WorkflowInstance
from temporalio.worker._workflow_instance import WorkflowInstanceDetails

from models.vocabulary import TaskAction

Step = Callable[..., Coroutine[object, object, object]]
Schedule = commands.ScheduleActivity | commands.ScheduleLocalActivity

Answer = TypeVar("Answer")
_PAYLOADS = pydantic_data_converter.payload_converter
_FAILURES = DefaultFailureConverter()
_NO_TIME = timedelta()
_FOR_WHOEVER_GOES_ON = {"signal_workflow", "do_update", "cancel_workflow"}
_ONCE_IN_ALL_TIME = WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE
_UNLESS_IT_FAILED = WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY
_ALREADY_EXISTS = (
    children.StartChildWorkflowExecutionFailedCause.START_CHILD_WORKFLOW_EXECUTION_FAILED_CAUSE_WORKFLOW_ALREADY_EXISTS
)
# Commands that the Web UI shows by their summaries.
_TOLD_IN_THE_UI = {"start_timer", "schedule_activity", "schedule_local_activity", "start_child_workflow_execution"}
_ASKED_AT_THE_START = {"checkout", "begin", "begun", "request"}
_LATENCIES = [timedelta(milliseconds=time) for time in (1, 5, 20, 100, 900, 4000)]
_UNTIL_A_WORKER_HEARS = (_NO_TIME, _NO_TIME, timedelta(milliseconds=300))
_A_STEP = vars(ActivityEnvironment.default_info())
_NEVER = _CompositeEvent(thread_event=threading.Event(), async_event=None)


class _NoMetrics:
    """The interpreter asks for a meter; nobody reads it."""

    def __getattr__(self, name: str) -> Callable[..., "_NoMetrics"]:
        return lambda *args, **kwargs: self


@dataclass
class Mishaps:
    """How likely each accident is, from 0 to 1. By default everything works."""

    answer_lost: float = 0
    worker_away: float = 0


@dataclass
class _Attempt:
    """One activity of a run, over all its tries."""

    order: Schedule
    policy: RetryPolicy
    scheduled: datetime
    is_local: bool
    number: int = 0
    is_resolved: bool = False


@dataclass
class _Parent:
    """Who started a run, and what becomes of the run when they are over."""

    run: "Run"
    seq: int
    on_close: children.ParentClosePolicy.ValueType


@dataclass
class SentUpdate:
    """An update on its way to a run, and what it is answered with."""

    run: "Run"
    update_id: str
    answers: type | None


@dataclass
class Run:
    """One workflow execution. What continued as new goes on as its `successor`."""

    simulation: "Simulation"
    definition: workflow._Definition
    workflow_id: str
    instance: WorkflowInstance
    inbox: list[activations.WorkflowActivationJob] = field(default_factory=list)
    timers: set[int] = field(default_factory=set)
    attempts: dict[tuple[bool, int], _Attempt] = field(default_factory=dict)
    unheard: set[tuple[bool, int]] = field(default_factory=set)
    updates: dict[str, commands.UpdateResponse] = field(default_factory=dict)
    accepted: set[str] = field(default_factory=set)
    heard: list[activations.SignalWorkflow] = field(default_factory=list)
    task_failures: list[str] = field(default_factory=list)
    away_until: datetime | None = None
    ended: commands.WorkflowCommand | None = None
    parent: _Parent | None = None
    successor: "Run | None" = None
    build: int = 1
    number: int = 0
    made_of: WorkflowInstanceDetails | None = None
    history: list[tuple[activations.WorkflowActivation, list[commands.WorkflowCommand]]] = field(default_factory=list)

    @property
    def is_ours(self) -> bool:
        """Whether it is a job of ours, not one that a test has made up."""
        return self.definition.cls.__module__.startswith("workflows.")

    @property
    def details(self) -> str:
        """What the Web UI shows as its current details."""
        return str(getattr(self.instance, "_current_details"))  # noqa: B009 - the interpreter's own

    @property
    def acts(self) -> frozenset[str]:
        """What an operator may send to it: signals, updates, and what its tasks allow."""
        return _acts_of(self.definition.cls)

    @property
    def latest(self) -> "Run":
        """The run that goes on where this one continued as new; itself if it did not."""
        return self if self.successor is None else self.successor.latest

    def signal(self, method: Callable[..., object], *args: object) -> None:
        """Tell the workflow something. A run that is over hears nothing more."""
        name = workflow._SignalDefinition.must_name_from_fn_or_str(method)
        told = activations.SignalWorkflow(
            signal_name=str(name), input=_PAYLOADS.to_payloads(args), originating_event_id=self.simulation.next_number()
        )
        self.simulation.post(self, activations.WorkflowActivationJob(signal_workflow=told))

    def told(self, name: str, type_: type[Answer]) -> list[Answer]:
        """What came with the signals of a name that reached the workflow before its end."""
        inputs = [signal.input for signal in self.heard if signal.signal_name == name]
        return [cast(Answer, _PAYLOADS.from_payloads(told, [type_])[0]) for told in inputs]

    def cancel(self) -> None:
        """Ask for cancellation, as an operator does."""
        wish = activations.WorkflowActivationJob(cancel_workflow=activations.CancelWorkflow(reason="an operator"))
        self.simulation.post(self, wish)

    def query(self, method: Callable[[object], Answer]) -> Answer:
        """What the workflow answers right now.

        Raises:
            AssertionError: The query failed.
        """
        if self.successor is not None:
            return self.latest.query(method)
        definition = workflow._QueryDefinition.from_fn(method)
        assert definition
        asked = activations.QueryWorkflow(query_id="query", query_type=str(definition.name))
        answer = self._activate([activations.WorkflowActivationJob(query_workflow=asked)])[0].respond_to_query
        assert not answer.HasField("failed"), answer.failed.message
        return cast(Answer, _PAYLOADS.from_payload(answer.succeeded.response, definition.ret_type))

    def update(self, method: object, *args: object, with_start: bool = False) -> object:
        """Send an update, along with the start if it is to be, and let time pass until it is answered.

        Raises:
            WorkflowUpdateFailedError: The workflow refused it.
        """
        answer = self.answered(self.send(method, *args, with_start=with_start))
        if isinstance(answer, WorkflowUpdateFailedError):
            raise answer
        return answer

    def send(self, method: object, *args: object, with_start: bool = False) -> "SentUpdate":
        """Send an update without waiting for its answer."""
        if self.successor is not None:
            return self.latest.send(method, *args)
        definition = method._defn  # type: ignore[attr-defined]
        update_id = f"update-{self.simulation.next_number()}"
        sent = activations.DoUpdate(
            id=update_id, protocol_instance_id=update_id, name=definition.name,
            input=_PAYLOADS.to_payloads(args), run_validator=True,
        )  # fmt: skip
        job = activations.WorkflowActivationJob(do_update=sent)
        if with_start:
            self.inbox.append(job)
        else:
            self.simulation.post(self, job)
        return SentUpdate(self, update_id, definition.ret_type)

    def answered(self, sent: "SentUpdate") -> object:
        """Let time pass until an update is answered; a refusal is returned, not raised."""
        update_id = sent.update_id
        self.simulation.run_until(lambda: update_id in sent.run.updates or sent.run.ended is not None)
        answer = sent.run.updates.get(update_id)
        if answer is None or answer.HasField("rejected"):
            failure = answer.rejected if answer else Failure(message="the workflow is over")
            return WorkflowUpdateFailedError(_FAILURES.from_failure(failure, _PAYLOADS))
        return _PAYLOADS.from_payload(answer.completed, sent.answers)

    def result(self) -> object:
        """What it ended with.

        Raises:
            AssertionError: It is not over, or ended in another way.
        """
        if self.successor is not None:
            return self.latest.result()
        assert self.ended is not None, f"{self.workflow_id} is not over"
        assert self.ended.HasField("complete_workflow_execution"), str(self.ended)[:2000]
        payload = self.ended.complete_workflow_execution.result
        return _PAYLOADS.from_payload(payload, self.definition.ret_type)

    def deliver(self) -> None:
        """Hand the workflow its news and do what it asks for then."""
        jobs, self.inbox = self.inbox, []
        if self.ended is None and jobs:
            MESSENGER.get()(self, jobs)

    def hear(self, jobs: list[activations.WorkflowActivationJob]) -> None:
        """News reach the workflow, as the events of one task."""
        self.heard += [job.signal_workflow for job in jobs if job.HasField("signal_workflow")]
        for job in jobs:
            if job.HasField("resolve_activity"):
                self.unheard.discard((job.resolve_activity.is_local, job.resolve_activity.seq))
        for command in self._activate(jobs):
            assert self._sums_up(command), f"{self.workflow_id} gives no summary: {command}"
            self._obey(command)
        assert self._tells_why_it_waits(), f"{self.workflow_id} does not say why it waits: {self.details}"

    def _sums_up(self, command: commands.WorkflowCommand) -> bool:
        """Whether a step, a timer or a child comes with the words that the Web UI shows of it."""
        is_shown = self.is_ours and command.WhichOneof("variant") in _TOLD_IN_THE_UI
        return not is_shown or command.user_metadata.HasField("summary")

    def _tells_why_it_waits(self) -> bool:
        """Whether the Web UI says why it stands still, and names a message or an action that moves it.

        A step that is under way, or whose end is not heard of yet, says it by itself. What is over only rests.
        """
        if not self.is_ours or self.ended is not None or self.unheard:
            return True
        details = self.details
        return bool(details) and ("Over: " in details or not self.acts or bool(self.acts & _named_in(details)))

    def _activate(self, jobs: Sequence[activations.WorkflowActivationJob]) -> Sequence[commands.WorkflowCommand]:
        news = activations.WorkflowActivation(
            run_id=self.workflow_id,
            jobs=jobs,
            continue_as_new_suggested=self.simulation.suggests_continuing,
            target_worker_deployment_version_changed=self.build != self.simulation.build,
        )
        news.timestamp.FromDatetime(self.simulation.now)
        asked_for = self.told_to(news)
        if not jobs[0].HasField("query_workflow"):
            self.history.append((news, asked_for))
        return asked_for

    def told_to(self, news: activations.WorkflowActivation) -> list[commands.WorkflowCommand]:
        """What the workflow asks for when it is told this.

        Raises:
            AssertionError: Its task failed.
        """
        completion = self.instance.activate(news)
        if completion.HasField("failed"):
            # A server would give the task again and again: a workflow that is stuck.
            self.task_failures.append(str(completion.failed.failure)[:4000])
            raise AssertionError(f"a task of {self.workflow_id} failed: {self.task_failures[-1]}")
        return list(completion.successful.commands)

    def _obey(self, command: commands.WorkflowCommand) -> None:
        simulation = self.simulation
        match command.WhichOneof("variant"):
            case "start_timer":
                seq = command.start_timer.seq
                self.timers.add(seq)
                wait = command.start_timer.start_to_fire_timeout.ToTimedelta()
                simulation.at(simulation.now + wait, lambda: self._fire(seq))
            case "cancel_timer":
                self.timers.discard(command.cancel_timer.seq)
            case "schedule_activity":
                self._schedule(command.schedule_activity, is_local=False)
            case "schedule_local_activity":
                self._schedule(command.schedule_local_activity, is_local=True)
            case "request_cancel_activity":
                self._cancel(self.attempts[False, command.request_cancel_activity.seq])
            case "request_cancel_local_activity":
                self._cancel(self.attempts[True, command.request_cancel_local_activity.seq])
            case "update_response":
                response = command.update_response
                if response.HasField("accepted"):
                    self.accepted.add(response.protocol_instance_id)
                else:
                    self.updates[response.protocol_instance_id] = response
            case "complete_workflow_execution" | "fail_workflow_execution" | "cancel_workflow_execution":
                self.ended = command
                simulation.close(self)
            case "upsert_workflow_search_attributes" | "set_patch_marker" | "modify_workflow_properties":
                pass
            case _:
                self._obey_among_workflows(command)

    def _obey_among_workflows(self, command: commands.WorkflowCommand) -> None:
        simulation = self.simulation
        match command.WhichOneof("variant"):
            case "continue_as_new_workflow_execution":
                self.ended = command
                simulation.go_on(self, command.continue_as_new_workflow_execution)
            case "start_child_workflow_execution":
                wanted = command.start_child_workflow_execution
                simulation.after(simulation.latency(), lambda: simulation.start_child(self, wanted))
            case "cancel_child_workflow_execution":
                simulation.cancel_child(self, command.cancel_child_workflow_execution.child_workflow_seq)
            case "signal_external_workflow_execution":
                told = command.signal_external_workflow_execution
                simulation.after(simulation.latency(), lambda: simulation.pass_on(self, told))
            case unknown:
                raise AssertionError(f"{unknown} is not simulated")

    def _fire(self, seq: int) -> None:
        if seq in self.timers:
            self.timers.discard(seq)
            self.simulation.post(self, activations.WorkflowActivationJob(fire_timer=activations.FireTimer(seq=seq)))

    # ---- activities ----

    def expect(self, order: Schedule, is_local: bool) -> _Attempt:
        """From now on it waits for this step."""
        policy = RetryPolicy.from_proto(order.retry_policy) if order.HasField("retry_policy") else RetryPolicy()
        attempt = _Attempt(order=order, policy=policy, scheduled=self.simulation.now, is_local=is_local)
        self.attempts[is_local, order.seq] = attempt
        self.unheard.add((is_local, order.seq))
        return attempt

    def _schedule(self, order: Schedule, is_local: bool) -> None:
        attempt = self.expect(order, is_local)
        self.simulation.after(self.simulation.latency(), lambda: self._try(attempt))

    def _try(self, attempt: _Attempt) -> None:
        """Do the step, and send its answer after a while; or lose the answer on its way."""
        if attempt.is_resolved or self.ended is not None:
            return
        attempt.number += 1
        simulation, order = self.simulation, attempt.order
        step = simulation.steps[order.activity_type]
        told: dict[str, Any] = {
            "activity_type": order.activity_type, "activity_id": order.activity_id, "attempt": attempt.number,
            "started_time": simulation.now, "scheduled_time": attempt.scheduled, "workflow_id": self.workflow_id,
            "workflow_type": str(self.definition.name), "workflow_run_id": str(self.number),
        }  # fmt: skip
        info = activity.Info(**{**_A_STEP, **told})
        args = _PAYLOADS.from_payloads(order.arguments, _definition_of(step).arg_types)
        try:
            done = _finished(info, step(*args))
        except Exception as error:  # noqa: BLE001 - as a worker does, whatever it is
            self._failed(attempt, error)
            return
        if simulation.chance.random() < simulation.mishaps.answer_lost:
            lost = Failure(message="activity timed out")
            lost.timeout_failure_info.CopyFrom(TimeoutFailureInfo(timeout_type=TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE))
            simulation.after(order.start_to_close_timeout.ToTimedelta(), lambda: self._again(attempt, lost, None))
            return
        payload = _PAYLOADS.to_payloads([done])[0]
        resolution = results.ActivityResolution(completed=results.Success(result=payload))
        simulation.after(simulation.latency(), lambda: self._resolve(attempt, resolution))

    def _failed(self, attempt: _Attempt, error: Exception) -> None:
        if isinstance(error, ApplicationError):
            # Meant by its world: nobody reads where it was raised, and setting that in type costs more than the step.
            error.with_traceback(None)
        cause = Failure()
        _FAILURES.to_failure(error, _PAYLOADS, cause)
        final = isinstance(error, ApplicationError) and error.non_retryable
        kind = error.type if isinstance(error, ApplicationError) else type(error).__name__
        if final or kind in (attempt.policy.non_retryable_error_types or ()):
            self._give_up(attempt, cause, RetryState.RETRY_STATE_NON_RETRYABLE_FAILURE)
        else:
            self._again(attempt, cause, error.next_retry_delay if isinstance(error, ApplicationError) else None)

    def _again(self, attempt: _Attempt, cause: Failure, delay: timedelta | None) -> None:
        """Try once more by the retry policy, or give up."""
        policy = attempt.policy
        wait = policy.initial_interval * policy.backoff_coefficient ** min(attempt.number - 1, 40)
        wait = delay or min(wait, policy.maximum_interval or policy.initial_interval * 100)
        if policy.maximum_attempts and attempt.number >= policy.maximum_attempts:
            self._give_up(attempt, cause, RetryState.RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED)
        elif self.simulation.now + wait > attempt.scheduled + _limit(attempt.order):
            self._give_up(attempt, cause, RetryState.RETRY_STATE_TIMEOUT)
        else:
            self.simulation.after(wait, lambda: self._try(attempt))

    def _give_up(self, attempt: _Attempt, cause: Failure, state: RetryState.ValueType) -> None:
        failure = self._activity_failure(attempt, cause)
        failure.activity_failure_info.retry_state = state
        self._resolve(attempt, results.ActivityResolution(failed=results.Failure(failure=failure)))

    def _cancel(self, attempt: _Attempt) -> None:
        """As the server: who waits for the step to end hears how it ended, everybody else that it was cancelled."""
        waits = commands.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED
        if attempt.order.cancellation_type == waits and attempt.number:
            return
        cause = Failure(message="cancelled", canceled_failure_info=CanceledFailureInfo())
        cancelled = results.Cancellation(failure=self._activity_failure(attempt, cause))
        self._resolve(attempt, results.ActivityResolution(cancelled=cancelled))

    def _activity_failure(self, attempt: _Attempt, cause: Failure) -> Failure:
        order = attempt.order
        info = ActivityFailureInfo(activity_type=ActivityType(name=order.activity_type), activity_id=order.activity_id)
        return Failure(message="Activity task failed", cause=cause, activity_failure_info=info)

    def _resolve(self, attempt: _Attempt, resolution: results.ActivityResolution) -> None:
        if attempt.is_resolved:
            return
        attempt.is_resolved = True
        resolved = activations.ResolveActivity(seq=attempt.order.seq, result=resolution, is_local=attempt.is_local)
        self.simulation.post(self, activations.WorkflowActivationJob(resolve_activity=resolved), at_once=True)


# How news reach a run; who wants to come between does it here.
MESSENGER: ContextVar[Callable[[Run, list[activations.WorkflowActivationJob]], None]] = ContextVar(
    "messenger", default=Run.hear
)


class Simulation:
    """A cluster of one thread: its clock, its workers, and its accidents."""

    def __init__(
        self,
        steps: Sequence[object],
        chance: random.Random,
        mishaps: Mishaps | None = None,
        workflows: Sequence[type] = (),
    ) -> None:
        """`workflows` are those that may be started as children; `steps` are everybody's."""
        self.steps = {str(_definition_of(cast(Step, step)).name): cast(Step, step) for step in steps}
        self.chance = chance
        self.mishaps = mishaps or Mishaps()
        self.now = self.started = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
        self.runs: dict[str, Run] = {}
        self.suggests_continuing = False
        # Runs begin on the newest build, and stay on it.
        self.build = 1
        definitions = [workflow._Definition.must_from_class(each) for each in workflows]
        self._definitions = {str(each.name): each for each in definitions}
        self._agenda: list[tuple[datetime, int, Callable[[], None]]] = []
        self._numbers = itertools.count(1)

    def start(self, run_method: Callable[..., object], arg: object, workflow_id: str) -> Run:
        """Start a workflow."""
        definition = workflow._Definition.must_from_run_fn(run_method)  # type: ignore[arg-type]
        return self._begin(definition, workflow_id, _PAYLOADS.to_payloads([arg]))

    def _begin(self, definition: workflow._Definition, workflow_id: str, arguments: Sequence[Payload]) -> Run:
        made_of = self._details(definition, workflow_id)
        number = self.next_number()
        run = Run(self, definition, workflow_id, instance_of(made_of), build=self.build, number=number, made_of=made_of)
        self.runs[workflow_id] = run
        first = activations.InitializeWorkflow(
            workflow_type=str(definition.name), workflow_id=workflow_id, arguments=arguments,
            randomness_seed=self.chance.getrandbits(63), attempt=1,
        )  # fmt: skip
        run.inbox.append(activations.WorkflowActivationJob(initialize_workflow=first))
        self.after(self.latency(), run.deliver)
        return run

    # ---- workflows among themselves ----

    def is_running(self, workflow_id: str) -> bool:
        """Whether a run of this id is not over."""
        run = self.runs.get(workflow_id)
        return run is not None and run.ended is None

    def has_completed(self, workflow_id: str) -> bool:
        """Whether the last run of this id is over, and has not failed."""
        run = self.runs.get(workflow_id)
        return run is not None and run.ended is not None and run.ended.HasField("complete_workflow_execution")

    def start_child(self, parent: Run, wanted: commands.StartChildWorkflowExecution) -> None:
        """Start a workflow for another one, unless its id is taken; the parent hears of it."""
        started = activations.ResolveChildWorkflowExecutionStart(seq=wanted.seq)
        taken = self.is_running(wanted.workflow_id)
        taken |= wanted.workflow_id in self.runs and wanted.workflow_id_reuse_policy == _ONCE_IN_ALL_TIME
        taken |= self.has_completed(wanted.workflow_id) and wanted.workflow_id_reuse_policy == _UNLESS_IT_FAILED
        if parent.ended is not None and not taken and parent.successor is None:
            return
        if taken:
            started.failed.workflow_id, started.failed.workflow_type = wanted.workflow_id, wanted.workflow_type
            started.failed.cause = _ALREADY_EXISTS
        else:
            run = self._begin(self._definitions[wanted.workflow_type], wanted.workflow_id, list(wanted.input))
            run.parent = _Parent(parent, wanted.seq, wanted.parent_close_policy)
            started.succeeded.run_id = wanted.workflow_id
        self.post(parent, activations.WorkflowActivationJob(resolve_child_workflow_execution_start=started), True)

    def adopt(self, parent: Run, started: commands.StartChildWorkflowExecution) -> None:
        """A child that was started by a run which was reset belongs to the one that goes on."""
        child = self.runs[started.workflow_id]
        child.parent = _Parent(parent, started.seq, started.parent_close_policy)
        if child.ended is not None:
            self.close(child)

    def cancel_child(self, parent: Run, seq: int) -> None:
        """Ask a child to stop."""
        for run in self._children(parent):
            if run.parent is not None and run.parent.seq == seq:
                run.cancel()

    def pass_on(self, sender: Run, told: commands.SignalExternalWorkflowExecution) -> None:
        """Bring a signal of one workflow to another; the sender hears whether there was such a one."""
        answer = activations.ResolveSignalExternalWorkflow(seq=told.seq)
        workflow_id = told.workflow_execution.workflow_id or told.child_workflow_id
        if self.is_running(workflow_id):
            signal = activations.SignalWorkflow(
                signal_name=told.signal_name, input=told.args, originating_event_id=self.next_number()
            )
            self.post(self.runs[workflow_id], activations.WorkflowActivationJob(signal_workflow=signal))
        else:
            info = ApplicationFailureInfo(type="ExternalWorkflowExecutionNotFound", non_retryable=True)
            failure = Failure(message="external workflow execution not found", application_failure_info=info)
            answer.failure.CopyFrom(failure)
        self.post(sender, activations.WorkflowActivationJob(resolve_signal_external_workflow=answer), True)

    def go_on(self, run: Run, wanted: commands.ContinueAsNewWorkflowExecution) -> None:
        """Let a run begin anew under its id. What it hears from now on, the new run hears."""
        run.successor = self._begin(run.definition, run.workflow_id, list(wanted.arguments))
        run.successor.parent, run.parent = run.parent, None
        run.successor.updates = run.updates
        self._leave_children(run)

    def close(self, run: Run) -> None:
        """Tell the parent how a run ended, and its own children by their policy."""
        self._leave_children(run)
        parent, ended = run.parent, run.ended
        if parent is None or ended is None or parent.run.ended is not None:
            return
        result = children.ChildWorkflowResult()
        match ended.WhichOneof("variant"):
            case "complete_workflow_execution":
                result.completed.result.CopyFrom(ended.complete_workflow_execution.result)
            case "fail_workflow_execution":
                result.failed.failure.CopyFrom(_child_failure(run, ended.fail_workflow_execution.failure))
            case _:
                cause = Failure(message="cancelled", canceled_failure_info=CanceledFailureInfo())
                result.cancelled.failure.CopyFrom(_child_failure(run, cause))
        resolved = activations.ResolveChildWorkflowExecution(seq=parent.seq, result=result)
        self.post(parent.run, activations.WorkflowActivationJob(resolve_child_workflow_execution=resolved), True)

    def _children(self, parent: Run) -> list[Run]:
        return [run for run in self.runs.values() if run.parent is not None and run.parent.run is parent]

    def _leave_children(self, run: Run) -> None:
        """As the server does at every end of a run, also of one that continues as new."""
        for child in self._children(run):
            policy = child.parent.on_close if child.parent else children.ParentClosePolicy.PARENT_CLOSE_POLICY_ABANDON
            child.parent = None
            if child.ended is not None:
                continue
            if policy == children.ParentClosePolicy.PARENT_CLOSE_POLICY_REQUEST_CANCEL:
                child.cancel()
            elif policy != children.ParentClosePolicy.PARENT_CLOSE_POLICY_ABANDON:
                child.ended = commands.WorkflowCommand()

    # ---- time and news ----

    def next_number(self) -> int:
        """A number of a series, as a server numbers its events."""
        return next(self._numbers)

    def at(self, when: datetime, what: Callable[[], None]) -> None:
        """Let something happen at a time."""
        heapq.heappush(self._agenda, (when, self.next_number(), what))

    def after(self, wait: timedelta, what: Callable[[], None]) -> None:
        """Let something happen after a while."""
        self.at(self.now + wait, what)

    def post(self, run: Run, news: activations.WorkflowActivationJob, at_once: bool = False) -> None:
        """Send news to a run. They come one by one or together, and sometimes late."""

        def arrive() -> None:
            # What answers a command is for the run that gave it, everything else for who goes on.
            to = run.latest if news.WhichOneof("variant") in _FOR_WHOEVER_GOES_ON else run
            to.inbox.append(news)
            if to.away_until and self.now < to.away_until:
                return
            if self.chance.random() < self.mishaps.worker_away:
                to.away_until = self.now + timedelta(minutes=self.chance.choice((1, 16, 70)))
                self.at(to.away_until, to.deliver)
            else:
                self.after(self.chance.choice(_UNTIL_A_WORKER_HEARS), to.deliver)

        self.after(_NO_TIME if at_once else self.latency(), arrive)

    def latency(self) -> timedelta:
        """How long a message or half a step takes: mostly little, sometimes seconds."""
        return self.chance.choice(_LATENCIES)

    def run_for(self, time: timedelta) -> None:
        """Let time pass."""
        end = self.now + time
        while self._agenda and self._agenda[0][0] <= end:
            self._next()
        self.now = end

    def run_until(self, happened: Callable[[], bool]) -> None:
        """Let time pass until something has happened.

        Raises:
            AssertionError: It never will: nothing is left to happen.
        """
        while not happened():
            assert self._agenda, "nothing is left to happen"
            self._next()

    def _next(self) -> None:
        self.now, _, what = heapq.heappop(self._agenda)
        what()

    def _details(self, definition: workflow._Definition, workflow_id: str) -> WorkflowInstanceDetails:
        return WorkflowInstanceDetails(
            payload_converter_factory=lambda: _PAYLOADS,
            failure_converter_class=DefaultFailureConverter,
            interceptor_classes=[],
            defn=definition,
            info=_info(definition, workflow_id, self.now),
            randomness_seed=self.chance.getrandbits(63),
            extern_functions={
                "__temporal_get_metric_meter": _NoMetrics,
                "__temporal_assert_local_activity_valid": lambda name: self.steps[name],
            },
            disable_eager_activity_execution=True,
            worker_level_failure_exception_types=[],
            patch_activation_callback=None,
            last_completion_result=Payloads(),
            last_failure=None,
        )


@cache
def _named_in(details: str) -> frozenset[str]:
    return frozenset(re.findall(r"`(\w+)`", details))


@cache
def _acts_of(job: type) -> frozenset[str]:
    definition = workflow._Definition.must_from_class(job)
    messages = {*definition.signals, *definition.updates} - _ASKED_AT_THE_START
    return frozenset({str(name) for name in messages} | (set(TaskAction) if "decide" in messages else set()))


def _definition_of(step: Step) -> activity._Definition:
    """What a step takes, whichever world it is a method of."""
    return _definition_of_function(getattr(step, "__func__", step))


@cache
def _definition_of_function(step: Step) -> activity._Definition:
    return activity._Definition.must_from_callable(step)


def _child_failure(run: Run, cause: Failure) -> Failure:
    info = ChildWorkflowExecutionFailureInfo(
        workflow_execution=WorkflowExecution(workflow_id=run.workflow_id, run_id=run.workflow_id),
        workflow_type=WorkflowType(name=str(run.definition.name)),
    )
    return Failure(message="Child Workflow execution failed", cause=cause, child_workflow_execution_failure_info=info)


class _Nowhere(asyncio.AbstractEventLoop):
    """The loop on which interpreters are made: it only has to be there, each then runs on its own."""


_NOWHERE = _Nowhere()


def instance_of(details: WorkflowInstanceDetails) -> WorkflowInstance:
    """The interpreter of one run."""
    outside = asyncio._get_running_loop()
    asyncio._set_running_loop(_NOWHERE)
    try:
        # What a run writes to its memo and search attributes is its own.
        listed = TypedSearchAttributes([])
        info = replace(details.info, search_attributes={}, typed_search_attributes=listed, raw_memo={})
        return UnsandboxedWorkflowRunner().create_instance(replace(details, info=info))
    finally:
        asyncio._set_running_loop(outside)


def _finished(info: activity.Info, step: Coroutine[object, object, object]) -> object:
    """What a step returns that waits for nothing, as those of simulated worlds do; it may ask which step it is."""
    # An `ActivityEnvironment` would do, at several times the cost of the step itself.
    token = activity._Context.set(
        activity._Context(
            info=lambda: info,
            heartbeat=lambda *_: None,
            cancelled_event=_NEVER,
            worker_shutdown_event=_NEVER,
            shield_thread_cancel_exception=None,
            payload_converter_class_or_instance=_PAYLOADS,
            runtime_metric_meter=MetricMeter.noop,
            client=None,
            cancellation_details=activity._ActivityCancellationDetailsHolder(),
        )
    )
    try:
        step.send(None)
    except StopIteration as end:
        return end.value
    finally:
        activity._Context.reset(token)
    raise AssertionError("a simulated step must not wait")


def _limit(order: Schedule) -> timedelta:
    limit: Duration = order.schedule_to_close_timeout
    return limit.ToTimedelta() or timedelta(days=3650)


def _info(definition: workflow._Definition, workflow_id: str, now: datetime) -> workflow.Info:
    no_headers: dict[str, Payload] = {}
    return workflow.Info(
        attempt=1, continued_run_id=None, cron_schedule=None, execution_timeout=None,
        first_execution_run_id=workflow_id, headers=no_headers, namespace="default",
        original_execution_run_id=workflow_id, parent=None, root=None, priority=Priority.default, raw_memo=no_headers,
        retry_policy=None, run_id=workflow_id, run_timeout=None, search_attributes=cast(SearchAttributes, {}),
        start_time=now, task_queue="simulated", task_timeout=timedelta(seconds=10),
        typed_search_attributes=TypedSearchAttributes.empty, workflow_id=workflow_id, workflow_start_time=now,
        workflow_type=str(definition.name),
    )  # fmt: skip
