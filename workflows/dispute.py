"""A payment that its payer disputes at their bank: followed to its end, answered and settled by people."""

import asyncio
from datetime import datetime
from uuid import UUID

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from activities.disputes import DisputeActivities
    from models import search
    from models.messages.disputes import DisputedPayment, DisputeFacts, DisputeOutcome, EndDisputedPlaces, ReadDispute
    from models.messages.jobs import JobState
    from models.messages.tasks import DecideTask, TaskDecided
    from models.vocabulary import DisputeStatus, TaskAction, TaskKind, WaitingFor
    from rules.disputes import OPEN, TO_ANSWER, next_look
    from workflows.desk import Desk
    from workflows.human_tasks import HumanTasks
    from workflows.mailing import Outbox
    from workflows.policies import STRIPE, TASK
    from workflows.shielding import to_its_end
    from workflows.waiting import happened


@workflow.defn(name="DisputeWorkflow", versioning_behavior=VersioningBehavior.PINNED)
class DisputeWorkflow:
    """One dispute, one run; another one if Stripe tells of it again after its end."""

    @workflow.init
    def __init__(self, request: DisputedPayment) -> None:
        self._request = request
        self._outbox = Outbox()
        self._tasks = HumanTasks(self._outbox)
        self._news = 0
        self._questions: int | None = None
        self._asked: str | None = None
        self._answered: set[DisputeStatus] = set()
        self._is_listed = False
        self._places_ended = False
        self._desk = Desk(
            f"Dispute {request.stripe_dispute_id}",
            "It is read from Stripe.",
            listed=("open", WaitingFor.STRIPE),
            can_do="`dispute_changed` has Stripe asked at once.",
        )

    @workflow.run
    async def run(self, request: DisputedPayment) -> DisputeOutcome:
        """Follow the dispute until its bank has decided; of a lost one a person says what becomes of the places.

        A dispute is not over because somebody cancels its job: it is followed all the same.
        """
        return await to_its_end(asyncio.create_task(self._tell_story()))

    async def _tell_story(self) -> DisputeOutcome:
        outcome = await self._follow()
        await self._outbox.emptied()
        return outcome

    async def _follow(self) -> DisputeOutcome:
        while True:
            seen = self._news
            facts = await self._look()
            if facts.status is None:
                self._desk.tell(WaitingFor.NOTHING, "It is of no payment of ours.")
                return DisputeOutcome()
            if facts.status in OPEN:
                await self._wait_for_its_bank(facts, seen)
            elif facts.status is DisputeStatus.LOST and facts.has_places and not facts.is_decided:
                await self._settle_places(facts, seen)
            else:
                await self._withdraw()
                if self._news == seen:
                    self._desk.tell(WaitingFor.NOTHING, f"Over: {facts.status}.")
                    return DisputeOutcome(status=facts.status, places_ended=self._places_ended)

    # ---- the chapters ----

    async def _look(self) -> DisputeFacts:
        facts = await workflow.execute_activity_method(
            DisputeActivities.read_dispute,
            ReadDispute(stripe_dispute_id=self._request.stripe_dispute_id, workflow_id=workflow.info().workflow_id),
            summary="Read the dispute from Stripe, write it down",
            **STRIPE,
        )
        self._desk.status = facts.status
        if self._questions is None:
            self._questions = facts.tasks_done
        if facts.order_id is not None and not self._is_listed:
            self._is_listed = True
            workflow.upsert_search_attributes([search.ORDER_ID.value_set(str(facts.order_id))])
        return facts

    async def _wait_for_its_bank(self, facts: DisputeFacts, seen: int) -> None:
        """Until there is news; meanwhile somebody answers it in Stripe, and says so."""
        wake = next_look(workflow.now(), facts.evidence_due_at)
        if facts.status not in TO_ANSWER or facts.status in self._answered:
            await self._withdraw()
            self._desk.tell(WaitingFor.STRIPE, "The payer's bank decides. Refunds of the payment wait meanwhile.")
            await happened(lambda: self._news != seen, wake, summary="The payer's bank decides")
            return
        question = asyncio.create_task(self._ask_for_an_answer(facts, seen))
        await happened(lambda: self._news != seen or question.done(), wake, summary="Look at the dispute again")
        # The question stays open; it is put again after the next look, unless that says that it is moot.
        self._news += 1
        await question

    async def _ask_for_an_answer(self, facts: DisputeFacts, seen: int) -> None:
        assert facts.order_id is not None  # noqa: S101 - what has no order was of no interest
        assert facts.status is not None  # noqa: S101
        due = "" if facts.evidence_due_at is None else f" until {facts.evidence_due_at:%Y-%m-%d %H:%M} UTC"
        self._desk.tell(
            WaitingFor.OPERATOR,
            f"{facts.amount} is disputed ({facts.reason}). Answer it in Stripe{due}, then decide the task: `dismiss` "
            "says that it is answered, or that it is accepted.",
            due_at=facts.evidence_due_at,
            needs_human=True,
        )
        action = await self._ask(
            "answer",
            facts.order_id,
            f"{facts.amount} of this order is disputed ({facts.reason}, {self._request.stripe_dispute_id}). "
            f"Answer it in Stripe{due}.",
            (TaskAction.DISMISS,),
            seen,
            due_at=facts.evidence_due_at,
        )
        if action is not None:
            self._answered.add(facts.status)

    async def _settle_places(self, facts: DisputeFacts, seen: int) -> None:
        """The bank has taken the money back: a person says whether what it paid for ends."""
        assert facts.order_id is not None  # noqa: S101 - only an order has places
        self._desk.tell(
            WaitingFor.OPERATOR,
            f"{facts.amount} is lost. Decide the task: `approve` keeps the places that were paid with it, `reject` "
            "ends them.",
            needs_human=True,
        )
        action = await self._ask(
            "places",
            facts.order_id,
            f"The dispute {self._request.stripe_dispute_id} is lost: {facts.amount} of this order is gone. May the "
            "places stay?",
            (TaskAction.APPROVE, TaskAction.REJECT),
            seen,
        )
        if action is TaskAction.REJECT:
            self._desk.tell(WaitingFor.NOTHING, "The places end.", in_passing=True)
            await workflow.execute_activity_method(
                DisputeActivities.end_disputed_places,
                EndDisputedPlaces(
                    order_id=facts.order_id,
                    actor=self._tasks.decided_by(self._about("places")) or "system",
                    workflow_id=workflow.info().workflow_id,
                ),
                summary="End the places of the lost payment",
                **TASK,
            )
            self._places_ended = True

    # ---- asking people ----

    async def _ask(
        self,
        what: str,
        order_id: UUID,
        reason: str,
        actions: tuple[TaskAction, ...],
        seen: int,
        due_at: datetime | None = None,
    ) -> TaskAction | None:
        """What a person decides; none if there is news first, and then the question stays open."""
        if self._asked != what:
            await self._withdraw()
        self._asked = what
        return await self._tasks.ask(
            TaskKind.DISPUTE,
            self._about(what),
            reason,
            actions,
            subject=("order", order_id),
            due_at=due_at,
            unless=lambda: self._news != seen,
        )

    def _about(self, what: str) -> str:
        """A name that no question of this dispute that is over has had, in this run or one before it."""
        return f"{what}-{self._questions or 0}"

    async def _withdraw(self) -> None:
        """Close the question that nobody has to answer any more."""
        if self._tasks.open_id is not None:
            await self._tasks.withdraw()
            self._questions = (self._questions or 0) + 1

    # ---- messages ----

    @workflow.signal(description="Look at the dispute again: something about it may have changed at Stripe")
    def dispute_changed(self) -> None:
        self._news += 1

    @workflow.update(description="Decide the open task: {task_id: '…', action: 'dismiss', actor: 'staff:<id>'}")
    async def decide(self, decision: DecideTask) -> TaskDecided:
        """Take what a person decided."""
        return await self._tasks.decide(decision)

    @decide.validator
    def _check_decision(self, decision: DecideTask) -> None:
        self._tasks.check(decision)

    @workflow.query(description="How the dispute stands, and who has to act")
    def status(self) -> JobState:
        return self._desk.state(self._tasks.open_id)
