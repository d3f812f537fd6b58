"""Access and certificates whose time is over and that have not expired: a safety net under the jobs that see to it."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from collections.abc import Awaitable, Callable

    from activities.expiry_sweep import ExpirySweepActivities
    from models.messages.learning import DripsWoken
    from models.messages.recurring import ExpirySwept, SweepExpired, WakeExpired
    from workflows.policies import JOBS
    from workflows.round import Round
    from workflows.scheduled import scheduled_at

# Many are worked off in portions: what is due meanwhile is to find a free worker.
_REST = timedelta(seconds=20)


@workflow.defn(name="ExpirySweepWorkflow", versioning_behavior=VersioningBehavior.PINNED)
class ExpirySweepWorkflow(Round):
    """One look at the record, as of the moment that it is scheduled for. Who is woken looks for themselves."""

    TITLE = "Access and certificates that are over"
    DOES = "Places and certificates that have not expired in time are woken."

    @workflow.run
    async def run(self, sweep: SweepExpired) -> ExpirySwept:
        """Wake the jobs of places, then those of certificates, a page at a time."""
        swept = ExpirySwept(
            places=await _all_pages(self._wake_places), certificates=await _all_pages(self._wake_certificates)
        )
        self._over(f"{swept.places} places and {swept.certificates} certificates were woken.")
        return swept

    async def _wake_places(self, page: WakeExpired) -> DripsWoken:
        return await workflow.execute_activity_method(
            ExpirySweepActivities.wake_ended_access, page, summary="Wake places whose access is over", **JOBS
        )

    async def _wake_certificates(self, page: WakeExpired) -> DripsWoken:
        return await workflow.execute_activity_method(
            ExpirySweepActivities.wake_ended_certificates, page, summary="Wake certificates that are over", **JOBS
        )


async def _all_pages(wake: Callable[[WakeExpired], Awaitable[DripsWoken]]) -> int:
    page, woken = WakeExpired(moment=scheduled_at()), 0
    while True:
        answer = await wake(page)
        woken += answer.woken
        if answer.last is None:
            return woken
        page = page.model_copy(update={"after": answer.last})
        await workflow.sleep(_REST, summary="Who was woken gets to work")
