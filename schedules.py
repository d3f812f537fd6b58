"""Every Temporal Schedule, declared as data and reconciled with the server."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleState,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.common import SearchAttributePair, TypedSearchAttributes

from models import search
from models.messages.applications import ReassignReviews
from models.messages.learning import WakeDrips
from models.messages.refund_watch import SweepRefunds
from workflows.queues import REGISTRAR_QUEUE
from workflows.reassign_reviews import ReassignReviewsWorkflow
from workflows.refund_sweep import RefundSweepWorkflow
from workflows.wake_drips import WakeDripsWorkflow


@dataclass(frozen=True)
class Recurring:
    """A job that comes back. One that was missed for `catchup` is skipped, and so is one whose last run still goes.

    The latter can be said otherwise, by `overlap`.
    """

    id: str
    every: timedelta
    catchup: timedelta
    note: str
    action: ScheduleActionStartWorkflow
    overlap: ScheduleOverlapPolicy = ScheduleOverlapPolicy.SKIP

    @property
    def schedule(self) -> Schedule:
        """As Temporal takes it."""
        return Schedule(
            action=self.action,
            spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=self.every)]),
            policy=SchedulePolicy(overlap=self.overlap, catchup_window=self.catchup),
            state=ScheduleState(note=self.note),
        )


SCHEDULES = (
    Recurring(
        id="refund-sweep",
        # Twice within the ten minutes in which a refund of the Dashboard is adopted (reference list 10.2).
        every=timedelta(minutes=5),
        # Each sweep looks back a day, so one is as good as all that were missed.
        catchup=timedelta(minutes=5),
        note="Refunds and disputes at Stripe that are not in the record are found.",
        action=ScheduleActionStartWorkflow(
            RefundSweepWorkflow.run,
            SweepRefunds(),
            id="refund-sweep",
            task_queue=REGISTRAR_QUEUE,
            typed_search_attributes=TypedSearchAttributes([SearchAttributePair(search.JOB, "refund_sweep")]),
            static_summary="Refunds at Stripe that are not in the record",
        ),
    ),
    Recurring(
        id="reassign-reviews",
        every=timedelta(hours=1),
        catchup=timedelta(hours=1),
        note="Applications of tutors that are with reviewers who are away go to those who are there.",
        action=ScheduleActionStartWorkflow(
            ReassignReviewsWorkflow.run,
            ReassignReviews(),
            id="reassign-reviews",
            task_queue=REGISTRAR_QUEUE,
            typed_search_attributes=TypedSearchAttributes([SearchAttributePair(search.JOB, "reassign_reviews")]),
            static_summary="Applications that are with absent reviewers",
        ),
        # A run whose mails wait for the mail server holds up no other.
        overlap=ScheduleOverlapPolicy.ALLOW_ALL,
    ),
    Recurring(
        id="wake-drips",
        # A place that ends tells its job by this alone; nothing opens meanwhile, since each step reads the record.
        every=timedelta(minutes=5),
        catchup=timedelta(minutes=5),
        note="Jobs of enrollments that should have looked at them and have not are woken, or started.",
        action=ScheduleActionStartWorkflow(
            WakeDripsWorkflow.run,
            WakeDrips(),
            id="wake-drips",
            task_queue=REGISTRAR_QUEUE,
            typed_search_attributes=TypedSearchAttributes([SearchAttributePair(search.JOB, "wake_drips")]),
            static_summary="Enrollments that nobody has looked at in time",
        ),
    ),
)


async def reconcile(client: Client) -> None:
    """Make the server's schedules those declared here. Whether one is paused is left as operators have it."""
    for recurring in SCHEDULES:
        try:
            await client.create_schedule(recurring.id, recurring.schedule)
        except ScheduleAlreadyRunningError:
            await client.get_schedule_handle(recurring.id).update(_renewed(recurring))


def _renewed(recurring: Recurring) -> Callable[[ScheduleUpdateInput], ScheduleUpdate]:
    def renew(known: ScheduleUpdateInput) -> ScheduleUpdate:
        schedule = recurring.schedule
        schedule.state.paused = known.description.schedule.state.paused
        return ScheduleUpdate(schedule)

    return renew
