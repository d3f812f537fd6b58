"""Telling the jobs that can put right what reconciliation has found: they read Stripe again and decide."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import select
from sqlmodel import col

from activities.database import Sessions
from activities.findings import is_asked_by_its_job
from activities.starts import reach_each
from activities.stripe_events import EventDesk
from activities.stripe_jobs import StripeJobs
from models.tables import CheckRunFinding, Finding
from models.tables.columns import now
from models.vocabulary import FindingKind, FindingStatus

# Who has not put it right by then never will: a person has been asked meanwhile.
_TOLD_FOR = timedelta(days=1)
_OF_WATCHES = (FindingKind.ORPHAN_REFUND, FindingKind.REFUND_MISMATCH, FindingKind.REFUND_NOT_REVOKED)


async def tell_jobs_of(sessions: Sessions, jobs: StripeJobs, run_id: UUID) -> int:
    """Tell the job behind each finding of the run that can be healed, and say how many were reached.

    A job that asks a person about it already is left in peace.
    """
    query = (
        select(Finding)
        .join(CheckRunFinding, col(CheckRunFinding.finding_id) == col(Finding.id))
        .where(
            col(CheckRunFinding.run_id) == run_id,
            col(CheckRunFinding.is_healing),
            col(Finding.status) == FindingStatus.OPEN,
            col(Finding.opened_at) > now() - _TOLD_FOR,
            ~is_asked_by_its_job(),
        )
        .order_by(col(Finding.opened_at), col(Finding.id))
    )
    async with sessions() as session:
        found = (await session.execute(query)).scalars().all()
    desk = EventDesk(sessions, jobs)
    return await reach_each(found, lambda finding: _tell(desk, finding), lambda finding: f"{finding.job_id}")


async def _tell(desk: EventDesk, finding: Finding) -> None:
    jobs, stripe_id, kind = desk.jobs, finding.stripe_id or "", FindingKind(finding.kind)
    order_id = finding.subject_id if finding.subject_kind == "order" else None
    if kind is FindingKind.PAID_NOT_FULFILLED and order_id is not None and await jobs.tell_order(order_id):
        await desk.look_after_unwatched(stripe_id, order_id)
        return
    if kind in _OF_WATCHES:
        await jobs.watch_refund(stripe_id, is_again=kind is not FindingKind.ORPHAN_REFUND)
    elif kind is FindingKind.UNKNOWN_DISPUTE:
        await jobs.follow_dispute(stripe_id)
    else:
        await jobs.look_after(stripe_id, order_id)
