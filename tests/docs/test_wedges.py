"""A release that nobody has tested wedges jobs, is seen, and is mended in three ways, by the commands of the page.

One incident: an order waits for its payment, a refund for its bank, lessons for their day. A bad release comes under
the same build id. It cannot follow the order and the refund, it goes on with the lessons in its own way, and it begins
an order of its own. The next release puts the code of orders and of lessons back, and patches that of refunds.
"""

import inspect
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select
from sqlmodel import col
from temporalio import activity
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHandle

import worker
from activities.refund_watch import RefundWatchActivities
from models.identifiers import new_id
from models.messages.checks import FindStuckJobs
from models.messages.refund_watch import ReadRefund, SeenRefund
from models.saved_queries import SAVED_QUERIES
from models.tables import Document, Finding, Mail
from models.vocabulary import FindingKind, FindingStatus
from rules.jobs import is_wedged
from sandbox.ports import listen_on
from tests.apart import apart_from
from tests.api.test_learning_end_to_end import COLOUR, LIGHT, WATER, enter, prepare
from tests.docs.bad_release import HastyOrderWorkflow, RenamedRefundWatchWorkflow, TimelessDripWorkflow
from tests.docs.mended_release import MendedRefundWatchWorkflow
from tests.docs.typed import PAGE, RECIPES, shell
from tests.eventually import eventually
from tests.installation import Installation, Json
from tests.ordering import mails
from worker import running_workers
from workflows.certificate import CertificateWorkflow
from workflows.connection import connect
from workflows.deployment import make_current
from workflows.drip import DripWorkflow
from workflows.finding import FindingWorkflow
from workflows.order import OrderWorkflow
from workflows.queues import REGISTRAR_QUEUE
from workflows.refund import RefundWorkflow
from workflows.refund_watch import RefundWatchWorkflow
from workflows.stuck_jobs import StuckJobsWorkflow

# Each workflow of a worker is prepared in a sandbox of its own, so only those that have a part.
OTHERS = (RefundWorkflow, CertificateWorkflow, FindingWorkflow, StuckJobsWorkflow)
FORMER = (OrderWorkflow, RefundWatchWorkflow, DripWorkflow, *OTHERS)
BAD = (HastyOrderWorkflow, RenamedRefundWatchWorkflow, TimelessDripWorkflow, *OTHERS)
MENDED = (OrderWorkflow, MendedRefundWatchWorkflow, DripWorkflow, *OTHERS)
# Tried again sooner, and said so sooner, than a server does by itself.
HASTY = {
    "history.workflowTaskRetryMaxInterval": '"1s"',
    "system.numConsecutiveWorkflowTaskProblemsToTriggerSearchAttribute": "2",
}
[WEDGED] = [saved for saved in SAVED_QUERIES if saved.name == "wedged"]
Job = WorkflowHandle[Any, Any]


class RenamedSteps(RefundWatchActivities):
    """The steps of the bad release, and of those after it: what they are called by both."""

    @activity.defn(name="read_refund_at_stripe")
    async def read_refund_at_stripe(self, step: ReadRefund) -> SeenRefund:
        """The step with its new name."""
        return await self.read_refund(step)


class Incident:
    """An installation whose releases change."""

    def __init__(self, installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
        self.installation = installation
        self._monkeypatch = monkeypatch

    @asynccontextmanager
    async def release(self, workflows: tuple[type, ...]) -> AsyncIterator[str]:
        """Workers with this code, all under one build id; where their metrics are."""
        self._monkeypatch.setattr(worker, "WORKFLOWS", workflows)
        settings = self.installation.settings
        with listen_on() as free:
            address = f"127.0.0.1:{free.getsockname()[1]}"
        runtime = worker._runtime(settings.model_copy(update={"worker_metrics_address": address}))
        client = await connect(settings.temporal_address, "default", runtime=runtime)
        async with running_workers(client, settings):
            await make_current(client, settings.worker_build_id)
            yield f"http://{address}/metrics"

    def job(self, workflow_id: str) -> Job:
        """A job of ours."""
        return self.installation.temporal.get_workflow_handle(workflow_id)

    async def place(self, course: str, by: str) -> tuple[Json, str]:
        """A paid place: its order and its enrollment."""
        order = (await self.installation.post_order(course, by=by)).json()
        await self.installation.pay(order)
        return order, (await self.installation.order_ends(order["id"]))["lines"][0]["enrollment"]["id"]

    async def refund(self, order_id: str, enrollment_id: str) -> Job:
        """Pay a place back; the job that watches the money."""
        await self.installation.staff_posts(f"/v1/enrollments/{enrollment_id}/refunds", {"cause": "no_time"})
        await self.job(f"refund-{enrollment_id}").result()
        watches: list[str] = []

        async def is_watched() -> bool:
            query = f'RegistrarOrderId="{order_id}" AND WorkflowType="RefundWatchWorkflow"'
            watches[:] = [run.id async for run in self.installation.temporal.list_workflows(query)]
            return bool(watches)

        await eventually(is_watched)
        return self.job(watches[0])

    async def says(self, job: Job, words: str) -> None:
        """Wait until a job says something of itself."""

        async def is_said() -> bool:
            return words in str(await job.query("status"))

        await eventually(is_said)

    async def is_wedged(self, *jobs: Job) -> None:
        """Wait until the saved query finds exactly these."""

        async def are_found() -> bool:
            listed = self.installation.temporal.list_workflows(WEDGED.at(datetime.now(UTC)))
            return {run.id async for run in listed} == {job.id for job in jobs}

        await eventually(are_found)

    async def look_for_stuck_jobs(self) -> dict[str | None, Finding]:
        """Run the sweep once; what it has on record of each job."""
        await self.installation.temporal.execute_workflow(
            StuckJobsWorkflow.run, FindStuckJobs(), id=f"stuck-jobs-{new_id()}", task_queue=REGISTRAR_QUEUE
        )
        async with self.installation.sessions() as session:
            return {finding.job_id: finding for finding in (await session.execute(select(Finding))).scalars()}

    async def numbers(self) -> tuple[list[str], Counter[tuple[str, object, str]]]:
        """The numbers of all papers, and how often each mail has gone out."""
        async with self.installation.sessions() as session:
            papers = (await session.execute(select(col(Document.number)))).scalars().all()
            sent = select(col(Mail.template), col(Mail.subject_id), col(Mail.occasion), func.count()).group_by(
                col(Mail.template), col(Mail.subject_id), col(Mail.occasion)
            )
            counted = Counter({(row[0], row[1], row[2]): row[3] for row in await session.execute(sent)})
        return sorted(str(number) for number in papers), counted


@pytest.fixture
async def incident(
    idle_installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Incident]:
    monkeypatch.setattr(worker, "RefundWatchActivities", RenamedSteps)
    async with apart_from(idle_installation, tmp_path, HASTY) as (installation, _):
        yield Incident(installation, monkeypatch)


def test_the_page_shows_the_code_that_mends() -> None:
    assert f"```python\n{inspect.getsource(MendedRefundWatchWorkflow._read)}```" in PAGE


async def test_jobs_of_a_bad_release_go_on_after_a_revert_a_patch_and_a_reset(incident: Incident) -> None:
    installation, control = incident.installation, incident.installation.double.control
    look, affected = RECIPES["A workflow is wedged"][0], RECIPES["A workflow is wedged"][1]
    reset_one, reset_many = RECIPES["A workflow is wedged"][2], RECIPES["A workflow is wedged"][3]

    async with incident.release(FORMER):
        await prepare(installation)
        room = await enter(installation)
        await room.told(WATER, {"finished": True})
        lessons = incident.job(f"drip-{room.path.rsplit('/', 1)[1]}")
        paid_back, place = await incident.place("spanish-a1", "aoife")
        await control.next_refunds("pending")
        watch = await incident.refund(paid_back["id"], place)
        await incident.says(watch, "On its way")
        unpaid = (await installation.post_order("spanish-a1", by="grace")).json()
        order = incident.job(f"order-{unpaid['id']}")
    since = _now()
    async with incident.release(BAD) as metrics:
        await installation.pay(unpaid)
        await control.move_refund(watch.id.removeprefix("refund-watch-"), "succeeded")
        await lessons.signal("replan")
        await _sleeps_without_a_clock(lessons)
        await room.told(COLOUR, {"finished": True, "score": 9}, room.platform)
        by_bad = (await installation.post_order("spanish-a1", by="layla")).json()
        await _is_seen(incident, metrics, look, order, watch)
        until = _now()
        said = await shell(
            installation, affected, SINCE=since, UNTIL=until, BUILD=installation.settings.worker_build_id
        )
        assert said.count("Total: ") == 2

    async with incident.release(MENDED):
        # Reverted and patched: nobody has to do anything for what the bad release could not follow.
        await installation.order_ends(unpaid["id"])
        await incident.says(watch, "Paid back")
        # What it has begun, or gone on with, the code from before it cannot follow.
        await lessons.signal("replan")
        await installation.pay(by_bad)
        await _cannot_go_on(incident.job(f"order-{by_bad['id']}"), lessons)
        await shell(installation, reset_one, JOB=lessons.id, SINCE=since)
        begun = incident.job(f"order-{by_bad['id']}")
        before = (await begun.describe()).run_id
        await shell(installation, reset_many, SINCE=since, UNTIL=until)
        await _is_another_run(begun, before)
        await installation.order_ends(by_bad["id"])
        await room.told(LIGHT, {"finished": True})
        await incident.is_wedged()
        await _all_is_right(incident, unpaid, by_bad, paid_back)
        found = await incident.look_for_stuck_jobs()
        assert {finding.status for finding in found.values()} == {FindingStatus.RESOLVED}


async def _sleeps_without_a_clock(lessons: Job) -> None:
    async def is_asleep() -> bool:
        kinds = [event.event_type async for event in lessons.fetch_history_events()]
        return EventType.EVENT_TYPE_TIMER_CANCELED in kinds

    await eventually(is_asleep)


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


async def _is_another_run(job: Job, before: str | None) -> None:
    """Wait until the batch has come to it."""

    async def is_reset() -> bool:
        return (await job.describe()).run_id != before

    await eventually(is_reset)


async def _cannot_go_on(*jobs: Job) -> None:
    async def are_tried() -> bool:
        runs = [await job.describe() for job in jobs]
        return all(is_wedged(run.raw_description.pending_workflow_task.attempt) for run in runs)

    await eventually(are_tried)


async def _is_seen(incident: Incident, metrics: str, look: str, *wedged: Job) -> None:
    """By the server's own word, the saved query, the list, the sweep and the metric of the alert."""
    await incident.is_wedged(*wedged)
    for job in wedged:
        said = await shell(incident.installation, look, JOB=job.id)
        assert "WorkflowTaskFailed" in said
        assert all(said.count(each.id) >= 2 for each in wedged), "both lists name them"

    await _cannot_go_on(*wedged)
    found = await incident.look_for_stuck_jobs()
    assert {job: finding.kind for job, finding in found.items()} == {job.id: FindingKind.JOB_WEDGED for job in wedged}
    async with httpx.AsyncClient() as http:
        page = (await http.get(metrics)).text
    failures = [line for line in page.splitlines() if line.startswith("temporal_workflow_task_execution_failed")]
    for kind in ("OrderWorkflow", "RefundWatchWorkflow"):
        assert [line for line in failures if f'"{kind}"' in line and 'failure_reason="NonDeterminismError"' in line]


async def _all_is_right(incident: Incident, paid: Json, by_bad: Json, paid_back: Json) -> None:
    """One charge, one receipt, one mail of each; what was paid back went back once."""
    installation = incident.installation
    for order, refunds in ((paid, 0), (by_bad, 0), (paid_back, 1)):
        money = await installation.double.control.order(order["id"])
        assert (money.payment_intents, money.charges_succeeded, money.refunds) == (1, 1, refunds)
    papers, sent = await incident.numbers()
    assert len(papers) == len(set(papers)) == 5, "four receipts and a credit note"
    assert set(sent.values()) == {1}
    assert (await mails(installation)).count("order_confirmation") == 4
