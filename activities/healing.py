"""Telling the jobs that can put right what reconciliation has found: they read Stripe again and decide."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import select
from sqlmodel import col

from activities.database import Sessions
from activities.findings import is_asked_by_its_job
from activities.starts import reach_each
from activities.stripe_events import is_unwatched
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
        select(Finding, is_unwatched(col(Finding.subject_id), col(Finding.stripe_id)))
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
        found = [(row[0], row[1]) for row in await session.execute(query)]
    return await reach_each(found, lambda each: _tell(jobs, *each), lambda each: f"{each[0].job_id}")


async def _tell(jobs: StripeJobs, finding: Finding, needs_somebody: bool) -> None:
    stripe_id, kind = finding.stripe_id or "", FindingKind(finding.kind)
    order_id = finding.subject_id if finding.subject_kind == "order" else None
    if kind is FindingKind.PAID_NOT_FULFILLED and order_id is not None:
        is_told = await jobs.tell_order(order_id)
        if is_told and not needs_somebody:
            return
    if kind in _OF_WATCHES:
        await jobs.watch_refund(stripe_id, is_again=kind is not FindingKind.ORPHAN_REFUND)
    elif kind is FindingKind.UNKNOWN_DISPUTE:
        await jobs.follow_dispute(stripe_id)
    else:
        await jobs.look_after(stripe_id, order_id)
