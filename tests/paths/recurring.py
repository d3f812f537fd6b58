"""What runs by itself, and what it finds."""

from datetime import timedelta

from sqlalchemy import update

from models import search
from models.identifiers import finding_workflow_id, new_id
from models.messages.checks import LookInto
from models.tables import Mail
from models.tables.columns import now
from models.vocabulary import CheckKind, FindingKind, FindingStatus, WaitingFor
from tests.api.test_recurring_jobs import order_of_a_lost_job
from tests.ordering import until_mailed
from tests.paths.scene import Scene, path
from workflows.finding import FindingWorkflow
from workflows.queues import REGISTRAR_QUEUE


@path
async def runs_by_itself(scene: Scene) -> None:
    await order_of_a_lost_job(scene.installation)
    for schedule_id in (
        "critical-mail",
        "expiry-sweep",
        "invoice-reminders",
        "document-retention",
        "reconcile-nightly",
        "stripe-events",
        "stuck-jobs",
        "daily-sales",
    ):
        await scene.keep_run_of(schedule_id)


@path
async def finding_asked_about(scene: Scene) -> None:
    await scene.keep("finding_asked_about", await _found(scene, CheckKind.RECONCILIATION))


@path
async def finding_decided(scene: Scene) -> None:
    job = await _found(scene, CheckKind.STUCK_JOBS)
    [task] = await scene.installation.tasks()
    await scene.installation.staff_posts(f"/v1/tasks/{task['id']}/decision", {"action": "retry"})
    await scene.keep_ended("finding_decided", job)


@path
async def mail_sent_again_by_hand(scene: Scene) -> None:
    """It came back long ago; its recipient has another address now, and a person says so."""
    installation = scene.installation
    order = (await installation.post_order("study-skills", by="grace")).json()
    await installation.order_ends(order["id"])
    await until_mailed(installation, "order_confirmation")
    ago = now() - timedelta(hours=2)
    async with installation.sessions.begin() as session:
        await session.execute(update(Mail).values(status="bounced", created_at=ago, updated_at=ago, sent_at=None))
    installation.mailbox.clear()
    await scene.keep_run_of("critical-mail")
    [task] = await installation.tasks()
    await installation.staff_posts(f"/v1/tasks/{task['id']}/decision", {"action": "retry"})
    await scene.keep_ended("mail_sent_again_by_hand", task["workflow_id"])


async def _found(scene: Scene, check: CheckKind) -> str:
    """The job of something found, once somebody is asked about it."""
    finding_id = new_id()
    look = LookInto(
        finding_id=finding_id,
        found_by=check,
        kind=FindingKind.FULFILLED_NOT_PAID,
        subject_kind="order",
        subject_id=finding_id,
        reason="It counts as paid, and Stripe has no money for it.",
        job_id="order-of-nobody",
    )
    handle = await scene.installation.temporal.start_workflow(
        FindingWorkflow.run,
        look,
        id=finding_workflow_id(finding_id),
        task_queue=REGISTRAR_QUEUE,
        search_attributes=search.at_start("finding", FindingStatus.OPEN, WaitingFor.OPERATOR),
        static_summary="Found: fulfilled not paid",
    )
    await scene.installation.tasks(str(finding_id))
    return handle.id
