"""What breaks: processes, the database, Stripe and its webhooks, the mail server; and operators who mean well."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from uuid import uuid4

import httpx
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import WorkflowExecution as Run
from temporalio.service import RPCError

from chaos.plan import Blow, Strike
from chaos.town import NobodyAnswersError, RefusedError, Town
from models.vocabulary import Role
from sandbox.stripe_double import ControlError

OTHER_WORKER = "other-worker"
# An operator acts on what an operator can see the point of: nobody resets a check, or ends one for good.
_RESET = ("OrderWorkflow", "RefundWorkflow", "OrderCancellationWorkflow", "CertificateWorkflow", "DripWorkflow")
_ENDED = ("OrderWorkflow", "RefundWorkflow", "DripWorkflow", "CartWorkflow", "CertificateWorkflow")


async def strike(town: Town, planned: Strike) -> None:
    """Break it. What an operator is refused, or cannot reach just now, was not done."""
    try:
        happened = await STRIKING[planned.blow](town, planned)
    except (RPCError, RefusedError, NobodyAnswersError, ControlError, httpx.TransportError):
        happened = False
    if happened is not False:
        town.struck[planned.blow] += 1


async def all_mended(town: Town) -> None:
    """Nothing breaks from now on. Counts how often what was switched on has struck."""
    for fault in await town.stripe.faults():
        town.struck[f"Stripe: {fault.kind} hits"] += fault.hits
    for fault in (await town.mailbox.get("/api/faults")).json():
        town.struck[f"mail: {fault['kind']} hits"] += fault["hits"]
    await town.stripe.clear_faults()
    await _calm_webhooks(town)
    (await town.mailbox.delete("/api/faults")).raise_for_status()


# ---- processes ----


async def _kill(name: str, town: Town, planned: Strike) -> None:
    town.supervisor.kill(name)


async def _stop_postgres(number: signal.Signals, town: Town, planned: Strike) -> None:
    """The stack brings it back. An immediate stop is a crash: what was under way is lost."""
    pid_file = town.home / "postgres" / "postmaster.pid"
    with contextlib.suppress(OSError, ValueError, IndexError):
        os.kill(int((await asyncio.to_thread(pid_file.read_text)).splitlines()[0]), number)


# ---- Stripe ----


async def _stripe(kind: str, town: Town, planned: Strike, **fields: object) -> None:
    await town.stripe.add_fault(kind, times=planned.times, skip=int(planned.pick * 4), **fields)


async def _stripe_fails(kind: str, status: int, town: Town, planned: Strike, *, recorded: bool = False) -> None:
    await _stripe(kind, town, planned, status=status, recorded=recorded)


async def _stripe_is_slow(town: Town, planned: Strike) -> None:
    # Longer than the client waits, now and then.
    seconds = 25.0 if planned.pick < 0.3 else planned.lasts
    await town.stripe.add_fault("delay_after", times=1 + planned.times // 3, seconds=seconds)


async def _webhooks(town: Town, planned: Strike, **settings: object) -> None:
    await town.stripe.configure_deliveries(**settings)
    await asyncio.sleep(planned.lasts)
    await _calm_webhooks(town)


async def _webhooks_twice(town: Town, planned: Strike) -> None:
    await _webhooks(town, planned, copies=1 + min(3, planned.times))


async def _webhooks_late(town: Town, planned: Strike) -> None:
    await _webhooks(town, planned, paused=True)


async def _webhooks_lost(town: Town, planned: Strike) -> None:
    await _webhooks(
        town, planned, drop_fraction=0.5, drop_seed=int(planned.pick * 1000), drop_for_good=planned.pick < 0.5
    )


async def _webhooks_reordered(town: Town, planned: Strike) -> None:
    await _webhooks(town, planned, shuffle_seed=int(planned.pick * 1000), window_seconds=1.0)


async def _calm_webhooks(town: Town) -> None:
    await town.stripe.configure_deliveries(
        paused=False, copies=1, shuffle_seed=None, window_seconds=0.2, drop_fraction=0.0, drop_for_good=False
    )


# ---- mail ----


async def _mail(kind: str, town: Town, planned: Strike) -> None:
    answer = await town.mailbox.post("/api/faults", json={"kind": kind, "times": planned.times})
    answer.raise_for_status()


# ---- operators ----


async def _operator_cancels(town: Town, planned: Strike) -> bool:
    """By the API, which says no where a cancellation would lose money."""
    run = await _some_run(town, planned, "ExecutionStatus = 'Running'", None)
    if run is not None:
        await town.staff(Role.ADMIN).post(f"/v1/jobs/{run.id}/cancel", key=run.run_id)
    return run is not None


async def _operator_resets(town: Town, planned: Strike) -> bool:
    """To any moment at which it has thought."""
    run = await _some_run(town, planned, "ExecutionStatus IN ('Running', 'Completed')", _RESET)
    if run is None:
        return False
    history = await town.temporal.get_workflow_handle(run.id, run_id=run.run_id).fetch_history()
    moments = [
        event.event_id for event in history.events if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    ]
    if not moments:
        return False
    await town.temporal.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=town.temporal.namespace,
            workflow_execution=WorkflowExecution(workflow_id=run.id, run_id=run.run_id),
            reason="a drill",
            workflow_task_finish_event_id=moments[int(planned.pick * 7919) % len(moments)],
            request_id=uuid4().hex,
        )
    )
    return True


async def _operator_terminates(town: Town, planned: Strike) -> bool:
    run = await _some_run(town, planned, "ExecutionStatus = 'Running'", _ENDED)
    if run is not None:
        await town.temporal.get_workflow_handle(run.id, run_id=run.run_id).terminate("a drill")
        town.terminated.add(run.id)
    return run is not None


async def _some_run(town: Town, planned: Strike, query: str, types: tuple[str, ...] | None) -> Run | None:
    """One of those that are there, which depends on what has happened until now."""
    found = [run async for run in town.temporal.list_workflows(f"RegistrarJob IS NOT NULL AND {query}")]
    wanted = sorted((run for run in found if types is None or run.workflow_type in types), key=lambda run: run.id)
    return wanted[int(planned.pick * len(wanted))] if wanted else None


STRIKING: Mapping[Blow, Callable[[Town, Strike], Awaitable[bool | None]]] = {
    Blow.KILL_WORKER: partial(_kill, "worker"),
    Blow.KILL_OTHER_WORKER: partial(_kill, OTHER_WORKER),
    Blow.KILL_API: partial(_kill, "api"),
    Blow.CRASH_POSTGRES: partial(_stop_postgres, signal.SIGQUIT),
    Blow.RESTART_POSTGRES: partial(_stop_postgres, signal.SIGINT),
    Blow.KILL_TEMPORAL: partial(_kill, "temporal"),
    Blow.STRIPE_REFUSES: partial(_stripe_fails, "error", 503),
    Blow.STRIPE_FAILS_AFTER: partial(_stripe_fails, "error_after", 500),
    Blow.STRIPE_REMEMBERS_ITS_ERROR: partial(_stripe_fails, "error", 500, recorded=True),
    Blow.STRIPE_LOSES_ANSWERS: partial(_stripe, "drop_after"),
    Blow.STRIPE_CUTS_OFF: partial(_stripe, "drop"),
    Blow.STRIPE_IS_SLOW: _stripe_is_slow,
    Blow.STRIPE_LIMITS: partial(_stripe_fails, "error", 429),
    Blow.WEBHOOKS_TWICE: _webhooks_twice,
    Blow.WEBHOOKS_LATE: _webhooks_late,
    Blow.WEBHOOKS_LOST: _webhooks_lost,
    Blow.WEBHOOKS_REORDERED: _webhooks_reordered,
    Blow.MAIL_REFUSED: partial(_mail, "refuse_connection"),
    Blow.MAIL_REJECTED: partial(_mail, "reject_data"),
    Blow.MAIL_DROPPED_BEFORE: partial(_mail, "drop_before_storing"),
    Blow.MAIL_DROPPED_AFTER: partial(_mail, "drop_after_storing"),
    Blow.OPERATOR_CANCELS: _operator_cancels,
    Blow.OPERATOR_RESETS: _operator_resets,
    Blow.OPERATOR_TERMINATES: _operator_terminates,
}
