"""The jobs that come back, started by their schedules on real parts: what a lost job has left undone is done."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlmodel import col
from temporalio.client import ScheduleActionExecutionStartWorkflow

from models.tables import CheckRun, Document, Mail, Order
from models.tables.columns import now
from schedules import SCHEDULES
from tests.eventually import eventually
from tests.installation import Installation, Json
from workflows.recurring import UTC
from workflows.schedule_server import apply_schedules

_OURS = ("expiry-sweep", "invoice-reminders", "critical-mail", "document-retention")


async def result_of(installation: Installation, schedule_id: str) -> dict[str, int]:
    """What the run came to that is started now."""
    handle = installation.temporal.get_schedule_handle(schedule_id)
    before = len((await handle.describe()).info.recent_actions)
    await handle.trigger()

    async def has_run() -> bool:
        return len((await handle.describe()).info.recent_actions) > before

    await eventually(has_run)
    run = (await handle.describe()).info.recent_actions[-1].action
    assert isinstance(run, ScheduleActionExecutionStartWorkflow)
    result: dict[str, int] = await installation.temporal.get_workflow_handle(run.workflow_id).result()
    return {name: count for name, count in result.items() if count}


async def order_of_a_lost_job(installation: Installation) -> Json:
    """As if its job had been lost between the transaction and its papers, two hours ago."""
    order: Json = (await installation.post_order("spanish-a1", by="aoife")).json()
    await installation.pay(order)
    await installation.order_ends(order["id"])
    ago = now() - timedelta(hours=2)
    async with installation.sessions.begin() as session:
        await session.execute(delete(Mail))
        await session.execute(update(Document).values(file_key=None, sha256=None, printed=None, issued_at=ago))
        await session.execute(update(Order).values(completed_at=ago))
    installation.mailbox.clear()
    return order


async def test_what_a_lost_job_has_left_undone_is_done(installation: Installation) -> None:
    order = await order_of_a_lost_job(installation)
    still = [replace(each, is_paused=True) for each in SCHEDULES if each.id in _OURS]
    await apply_schedules(installation.temporal, still, UTC)
    try:
        assert await result_of(installation, "critical-mail") == {"papers": 1, "mails": 1, "found": 2}
        # The run after it settles what was found, and finds nothing more.
        assert {each: await result_of(installation, each) for each in _OURS} == {each: {} for each in _OURS}
    finally:
        for each in _OURS:
            await installation.temporal.get_schedule_handle(each).delete()
    [mail] = installation.mailbox.mails()
    assert [each.name[:7] for each in mail.attachments] == ["receipt"]
    async with installation.sessions() as session:
        sent = (await session.execute(select(Mail))).scalar_one()
        first = (await session.execute(select(CheckRun).order_by(col(CheckRun.looked_until)).limit(1))).scalar_one()
    assert (sent.subject_id, sent.status, sent.workflow_id[:14]) == (UUID(order["id"]), "sent", "critical-mail-")
    assert first.counts == {"papers_missing": 1, "mails_missing": 1, "mails_not_sent": 0}
