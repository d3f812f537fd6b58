"""Access and certificates whose time is over and that have not expired: a safety net under the jobs that see to it."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from activities.expiry_sweep import ExpirySweepActivities
    from models.messages.learning import DripsWoken
    from models.messages.recurring import ExpirySwept, SweepExpired, WakeExpired
    from workflows.policies import JOBS
    from workflows.round import Round
    from workflows.scheduled import scheduled_at

# Many are worked off in portions: what is due meanwhile is to find a free worker.
_REST = timedelta(seconds=20)
PAGES = 10
_TO_THE_NEWEST_BUILD = workflow.ContinueAsNewVersioningBehavior.AUTO_UPGRADE


@workflow.defn(name="ExpirySweepWorkflow", versioning_behavior=VersioningBehavior.PINNED)
class ExpirySweepWorkflow(Round):
    """One look at the record, as of the moment that it is scheduled for. Who is woken looks for themselves."""

    TITLE = "Access and certificates that are over"
    DOES = "Places and certificates that have not expired in time are woken."

    @workflow.run
    async def run(self, sweep: SweepExpired) -> ExpirySwept:
        """Wake the jobs of places, then those of certificates, a page at a time; after some, another run goes on."""
        moment, after, swept = sweep.moment or scheduled_at(), sweep.after, sweep.swept
        is_past_places = sweep.is_past_places
        for _ in range(PAGES):
            page = WakeExpired(moment=moment, after=after)
            woken = await (self._wake_certificates(page) if is_past_places else self._wake_places(page))
            kind = "certificates" if is_past_places else "places"
            swept = swept.model_copy(update={kind: getattr(swept, kind) + woken.woken})
            after = woken.last
            if after is not None:
                await workflow.sleep(_REST, summary="Who was woken gets to work")
            elif is_past_places:
                break
            else:
                is_past_places = True
        else:
            goes_on = SweepExpired(moment=moment, after=after, is_past_places=is_past_places, swept=swept)
            workflow.continue_as_new(goes_on, initial_versioning_behavior=_TO_THE_NEWEST_BUILD)
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
