"""Many enrollments end at once, because their tutor or their course is gone (TutorHub R61, R62, R64)."""

import asyncio
from datetime import timedelta
from uuid import UUID

from temporalio import workflow
from temporalio.common import VersioningBehavior, WorkflowIDReusePolicy
from temporalio.exceptions import FailureError, WorkflowAlreadyStartedError
from temporalio.workflow import ChildWorkflowCancellationType, ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from activities.cascades import CascadeActivities
    from models.identifiers import cascade_request_id_for, order_workflow_id, refund_workflow_id
    from models.messages.cascades import (
        PAGE,
        BeginCascade,
        CascadeCount,
        CascadeOrder,
        CascadePage,
        CascadeProgress,
        CascadeWish,
        LookAtPlaces,
        MarkCascade,
    )
    from models.messages.jobs import JobState
    from models.messages.orders import CancelOrder
    from models.messages.refunds import GrantRefund, RefundTerms, RefundWish
    from models.vocabulary import CascadeStatus, RefundAccess, RefundCause, WaitingFor
    from workflows.desk import Desk
    from workflows.order import OrderWorkflow
    from workflows.policies import RECORD
    from workflows.queues import REGISTRAR_QUEUE
    from workflows.refund import RefundWorkflow
    from workflows.refund_listing import refund_attributes, refund_details, refund_summary
    from workflows.shielding import to_its_end
    from workflows.waiting import happened

AT_ONCE = 10
# A run stays far below what a history may hold: about ten events go with each refund.
STARTS_OF_A_RUN = 500
# A refund that waits for a person, or is watched for weeks, gives up its turn once the record says so.
_LOOK_AFTER = (timedelta(seconds=10), timedelta(minutes=1), timedelta(minutes=10))
_GOES_ON = "Places end, and their money goes back. The signal `pause` has nothing new begun."
_REST = tuple(timedelta(seconds=wait) for wait in (2, 10, 60, 600, 3600))


@workflow.defn(name="CascadeWorkflow", versioning_behavior=VersioningBehavior.PINNED)
class CascadeWorkflow:
    """One decision, one workflow. The record says what is left, so a run that starts afresh forgets nothing."""

    @workflow.init
    def __init__(self, wish: CascadeWish) -> None:
        self._wish = wish
        self._is_begun = wish.is_begun
        self._count = wish.count
        self._round = wish.round
        self._is_paused, self._is_written_paused = wish.is_paused, wish.is_written_paused
        self._last_word = wish.last_word or wish.actor
        self._under_way: dict[UUID, asyncio.Task[None] | None] = dict.fromkeys(wish.under_way)
        self._starts = 0
        self._desk = Desk("Cascade", "The places are written down.", listed=("running", WaitingFor.NOTHING))

    @workflow.run
    async def run(self, wish: CascadeWish) -> CascadeCount:
        """Take it off sale, cancel what is not paid, pay back what is, and go round again until nothing is left.

        A cancellation pauses it: refunds under way are whole, and `resume` goes on.
        """
        continued = await to_its_end(asyncio.create_task(self._tell_story()), self._pause_for_operator)
        if continued is not None:
            workflow.continue_as_new(continued)
        return self._count

    def _pause_for_operator(self) -> None:
        self._is_paused, self._last_word = True, "operator"

    async def _tell_story(self) -> CascadeWish | None:
        """None once it is over; otherwise what the next run begins with."""
        if not self._is_begun:
            await self._begin()
        self._desk.status = CascadeStatus.RUNNING
        if self._under_way:
            self._desk.tell(WaitingFor.NOTHING, _GOES_ON, in_passing=True)
            await self._forget_settled()
        while True:
            if not (await self._cancel_orders() and await self._end_places() and await self._has_turns(AT_ONCE)):
                return self._handed_over()
            self._count = await self._counted()
            if self._count.is_over:
                break
            await self._rest()
            if self._is_long():
                return self._handed_over()
        await self._mark(CascadeStatus.DONE, self._wish.actor)
        self._desk.status = CascadeStatus.DONE
        self._desk.tell(WaitingFor.NOTHING, f"Over: all {self._count.total} places have ended.")
        return None

    # ---- the chapters ----

    async def _begin(self) -> None:
        self._count = await workflow.execute_local_activity_method(
            CascadeActivities.begin_cascade,
            BeginCascade(wish=self._wish, workflow_id=workflow.info().workflow_id),
            summary="Take it off sale, and write down which places end",
            **RECORD,
        )
        self._is_begun = True

    async def _cancel_orders(self) -> bool:
        """Tell every order that could still be paid; one that gets paid all the same has a place to end. False to
        continue as new."""
        after: UUID | None = None
        while True:
            page = await workflow.execute_local_activity_method(
                CascadeActivities.open_orders,
                CascadePage(cascade_id=self._wish.cascade_id, after=after),
                summary="Orders that could still be paid",
                **RECORD,
            )
            for order_id in page.ids:
                await self._unless_paused()
                self._say("Orders that are not paid are cancelled. The signal `pause` stops that.")
                await self._cancel_order(order_id)
                self._starts += 1
            if len(page.ids) < PAGE:
                return True
            if self._is_long():
                return False
            after = page.ids[-1]

    async def _cancel_order(self, order_id: UUID) -> None:
        order = workflow.get_external_workflow_handle_for(OrderWorkflow.run, order_workflow_id(order_id))
        try:
            await order.signal(OrderWorkflow.cancel, CancelOrder(actor=self._wish.actor, reason=self._wish.kind.value))
        except FailureError:
            return  # it is over, and the record will say how

    async def _end_places(self) -> bool:
        """Start the refund of every place that is still somebody's, a few at a time. False to continue as new."""
        after: UUID | None = None
        while True:
            page = await workflow.execute_local_activity_method(
                CascadeActivities.taken_places,
                CascadePage(cascade_id=self._wish.cascade_id, after=after),
                summary="Places to end",
                **RECORD,
            )
            for enrollment_id in page.ids:
                # What an earlier run had under way is asked for again: it may have come to nothing since.
                if self._under_way.get(enrollment_id) is not None:
                    continue
                if self._is_long() or not await self._has_turns(1):
                    return False
                self._say(_GOES_ON)
                self._under_way[enrollment_id] = asyncio.create_task(self._end_place(enrollment_id))
                self._starts += 1
            if len(page.ids) < PAGE:
                return True
            after = page.ids[-1]

    async def _end_place(self, enrollment_id: UUID) -> None:
        """Its refund, to the end; where one is running already, it is granted, and looked at in the next round."""
        wish = RefundWish(
            request_id=cascade_request_id_for(self._wish.cascade_id, enrollment_id),
            enrollment_id=enrollment_id,
            cause=RefundCause(self._wish.kind.value),
            actor=self._wish.actor,
            terms=RefundTerms(share=self._wish.share, access=RefundAccess.REVOKED),
            cascade_id=self._wish.cascade_id,
        )
        workflow_id = refund_workflow_id(enrollment_id)
        try:
            await workflow.execute_child_workflow(
                RefundWorkflow.run,
                wish,
                id=workflow_id,
                task_queue=REGISTRAR_QUEUE,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                parent_close_policy=ParentClosePolicy.ABANDON,
                cancellation_type=ChildWorkflowCancellationType.ABANDON,
                search_attributes=refund_attributes(wish),
                static_summary=refund_summary(wish),
                static_details=refund_details(wish),
            )
        except WorkflowAlreadyStartedError:
            await self._grant(workflow_id)
        except FailureError:
            return  # terminated, say: the place is found again in the next round

    async def _grant(self, workflow_id: str) -> None:
        running = workflow.get_external_workflow_handle_for(RefundWorkflow.run, workflow_id)
        try:
            await running.signal(RefundWorkflow.grant, GrantRefund(actor=self._wish.actor))
        except FailureError:
            return  # it has ended meanwhile

    async def _has_turns(self, wanted: int) -> bool:
        """Wait until so many more refunds may run. False if that takes longer than a history should be."""
        looks = 0
        while True:
            await self._unless_paused()
            for enrollment_id in [known for known, task in self._under_way.items() if task is not None and task.done()]:
                del self._under_way[enrollment_id]
            if len(self._under_way) + wanted <= AT_ONCE:
                return True
            if self._is_long():
                return False
            look_at = workflow.now() + _LOOK_AFTER[min(looks, len(_LOOK_AFTER) - 1)]
            if not await happened(self._has_news, look_at, summary="Refunds are under way"):
                looks += 1
                await self._forget_settled()

    def _has_news(self) -> bool:
        return self._is_paused or any(task is not None and task.done() for task in self._under_way.values())

    async def _forget_settled(self) -> None:
        settled = await workflow.execute_local_activity_method(
            CascadeActivities.settled_places,
            LookAtPlaces(enrollment_ids=tuple(self._under_way)),
            summary="Which of them need nothing more of us",
            **RECORD,
        )
        for enrollment_id in settled.ids:
            self._under_way.pop(enrollment_id, None)

    async def _rest(self) -> None:
        """Nothing can be done but wait: for people, for banks, for orders on their way to their end."""
        count = self._count
        until = workflow.now() + _REST[min(self._round, len(_REST) - 1)]
        self._round += 1
        told = f"{count.ended} of {count.total} places have ended."
        if count.left:
            told += f" On their way: {count.left}; those with a bank at work end with its answer."
        if count.waiting:
            told += f" The money of {count.waiting} waits for a person: decide their tasks."
        told += " It looks again by itself; the signal `pause` stops it."
        waits_for = WaitingFor.OPERATOR if count.waiting else WaitingFor.TIMER
        self._desk.tell(waits_for, told, needs_human=bool(count.waiting), in_passing=self._round == 1)
        await happened(lambda: self._is_paused, until, summary="Look again how far it is")
        await self._unless_paused()

    # ---- what they share ----

    async def _unless_paused(self) -> None:
        """Write a pause down, and wait for its end."""
        while self._is_paused or self._is_written_paused:
            if self._is_paused is not self._is_written_paused:
                self._is_written_paused = self._is_paused
                status = CascadeStatus.PAUSED if self._is_paused else CascadeStatus.RUNNING
                self._desk.status = status
                await self._mark(status, self._last_word)
            if self._is_paused:
                await self._tell_pause()
                # Told once more when what was under way has ended.
                if self._under_way and await happened(
                    lambda: not self._is_paused or self._are_all_done(), None, summary="What is under way ends"
                ):
                    await self._tell_pause()
                await workflow.wait_condition(lambda: not self._is_paused)

    async def _tell_pause(self) -> None:
        self._count = await self._counted()
        left = f"{self._count.left} of {self._count.total} places are left"
        self._desk.tell(WaitingFor.OPERATOR, f"Paused: {left}. The signal `resume` goes on.", needs_human=True)

    def _are_all_done(self) -> bool:
        return all(task is None or task.done() for task in self._under_way.values())

    async def _mark(self, status: CascadeStatus, actor: str) -> None:
        await workflow.execute_local_activity_method(
            CascadeActivities.mark_cascade,
            MarkCascade(
                cascade_id=self._wish.cascade_id,
                status=status,
                actor=actor,
                workflow_id=workflow.info().workflow_id,
            ),
            summary=f"Write down: {status}",
            **RECORD,
        )

    async def _counted(self) -> CascadeCount:
        return await workflow.execute_local_activity_method(
            CascadeActivities.count_cascade,
            CascadePage(cascade_id=self._wish.cascade_id),
            summary="How far it is",
            **RECORD,
        )

    def _say(self, what: str) -> None:
        if self._desk.told.next_action != what:
            self._desk.tell(WaitingFor.NOTHING, what)

    def _is_long(self) -> bool:
        return self._starts >= STARTS_OF_A_RUN or workflow.info().is_continue_as_new_suggested()

    def _handed_over(self) -> CascadeWish:
        known = {
            "is_begun": True,
            "is_paused": self._is_paused,
            "count": self._count,
            "round": self._round,
            "is_written_paused": self._is_written_paused,
            "last_word": self._last_word,
            "under_way": tuple(self._under_way),
        }
        return self._wish.model_copy(update=known)

    # ---- messages ----

    @workflow.signal(description="Start nothing new; what is under way ends: {actor: 'admin:<id>'}")
    def pause(self, order: CascadeOrder) -> None:
        self._is_paused, self._last_word = True, order.actor

    @workflow.signal(description="Go on after a pause: {actor: 'admin:<id>'}")
    def resume(self, order: CascadeOrder) -> None:
        self._is_paused, self._last_word = False, order.actor

    @workflow.update(description="Wait until it is written down which places end")
    async def begun(self) -> CascadeCount:
        """Answer who has started it."""
        await workflow.wait_condition(lambda: self._is_begun)
        return self._count

    @workflow.query(description="How many places have ended, wait for a person, and are left")
    def progress(self) -> CascadeProgress:
        return CascadeProgress(**self._count.model_dump(), is_paused=self._is_paused)

    @workflow.query(description="Where the cascade stands, and who has to act")
    def status(self) -> JobState:
        return self._desk.state(None)
