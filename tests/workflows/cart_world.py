"""A world for the cart workflow: one person's carts, purchases and marketing mail, as the record has them.

The steps keep the contracts of `activities/carts.py` and of the ledger of mails, with the real rules: what is looked at
in one transaction is one step here, and between two steps anything may happen (`meanwhile`).
"""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import cast
from uuid import UUID
from zoneinfo import ZoneInfo

from temporalio import activity
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from models.errors import Reason
from models.identifiers import cart_workflow_id
from models.messages.carts import (
    AbandonedCart,
    CartAnswer,
    CartOutcome,
    CartStart,
    CartStep,
    ChangeCart,
    ChangedCart,
    CheckedReminder,
    CheckReminder,
    EndCart,
    RecordChange,
)
from models.messages.mail import MailReport, SendMail
from models.vocabulary import CartStatus, ConsentMode, MailStatus, MailTemplate
from rules.cart import CUTOFF, DELAYS, FINAL, LIVE, LOST_AFTER, CartFacts, is_recovered, skipped_because
from rules.marketing import Standing, is_too_late, refused_because, slot_for
from tests.workflows.simulation import Mishaps, Run, Simulation
from workflows.cart import CartWorkflow

PERSON, COURSE = UUID(int=7), UUID(int=8)


@dataclass
class CartRow:
    """One row of `carts`."""

    changed_at: datetime
    status: CartStatus = CartStatus.OPEN
    reason: str | None = None
    abandoned_at: datetime | None = None
    reminders: int = 0
    reminded_at: datetime | None = None
    clicked_at: datetime | None = None
    is_erased: bool = False


@dataclass
class MailRow:
    """One row of the ledger."""

    wanted_at: datetime
    status: MailStatus = MailStatus.QUEUED
    reason: str | None = None
    handed_over_at: datetime | None = None
    deferred_until: datetime | None = None


@dataclass
class CartWorld:
    """The record of one person, and what must never happen to it (`wrongs`)."""

    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    delays: tuple[timedelta, ...] = DELAYS
    is_watched: bool = True
    mode: ConsentMode = ConsentMode.OPT_IN
    is_sold_out: bool = False
    owns_course: bool = False
    has_withdrawn: bool = False
    has_complained: bool = False
    has_bounced: bool = False
    consented: bool = True
    has_dispute: bool = False
    quiet_until: datetime | None = None
    is_mail_down: bool = False
    looks_before_claim: bool = True
    carts: dict[UUID, CartRow] = field(default_factory=dict)
    mails: dict[tuple[UUID, str], MailRow] = field(default_factory=dict)
    purchases: list[datetime] = field(default_factory=list)
    wrongs: list[str] = field(default_factory=list)
    steps_done: Counter[str] = field(default_factory=Counter)
    # Called between two steps of a send, with the name of the next.
    meanwhile: Callable[[str], None] = lambda _: None

    @property
    def steps(self) -> list[object]:
        return [self.change_cart, self.abandon_cart, self.check_reminder, self.end_cart, self.send_mail]

    # ---- what people do ----

    def buy(self, moment: datetime) -> list[UUID]:
        """The transaction that completes an order: the carts that it has emptied."""
        self.purchases.append(moment)
        bought = [cart_id for cart_id, row in self.carts.items() if row.status in LIVE]
        for cart_id in bought:
            row = self.carts[cart_id]
            row.status = CartStatus.RECOVERED if is_recovered(row.clicked_at, moment) else CartStatus.ORDERED
        return bought

    def sent(self, cart_id: UUID | None = None) -> list[tuple[str, datetime]]:
        """The occasions of the mails that went out, and when, in order."""
        handed = [
            (occasion, row.handed_over_at)
            for (subject, occasion), row in self.mails.items()
            if row.handed_over_at is not None and subject == (cart_id or subject)
        ]
        return sorted(handed, key=lambda each: each[1])

    def skipped(self) -> dict[str, str | None]:
        """The reason of each mail that was skipped, by its occasion."""
        return {key[1]: row.reason for key, row in self.mails.items() if row.status is MailStatus.SKIPPED}

    # ---- the record ----

    def facts(self, cart_id: UUID) -> CartFacts:
        row = self.carts[cart_id]
        others = [each.reminded_at for key, each in self.carts.items() if key != cart_id and each.reminded_at]
        standing = Standing(
            self.consented, self.has_withdrawn, self.has_complained, self.has_bounced, bool(self.purchases)
        )
        return CartFacts(
            status=row.status,
            is_watched=self.is_watched,
            is_empty=row.is_erased,
            is_bought=self.owns_course or row.status in (CartStatus.ORDERED, CartStatus.RECOVERED),
            is_sold_out=self.is_sold_out,
            refused_because=refused_because(standing, self.mode),
            last_purchase_at=max(self.purchases, default=None),
            quiet_until=self.quiet_until,
            has_dispute=self.has_dispute,
            other_reminded_at=max(others, default=None),
            reminded_at=row.reminded_at,
        )

    def may_change(self, row: CartRow) -> bool:
        return row.status in LIVE or (row.status is CartStatus.CLEARED and not row.is_erased)

    @activity.defn
    async def change_cart(self, step: RecordChange) -> ChangedCart:
        moment, change = _now("change", self), step.change
        row = self.carts.get(change.cart_id)
        if row is not None and not self.may_change(row):
            return ChangedCart(refusal=Reason.CART_OVER, refusal_detail="It is over.")
        if not change.course_ids:
            if row is not None:
                self._clear(row, "emptied", is_erased=False)
            return ChangedCart(status=CartStatus.CLEARED)
        row = self.carts.setdefault(change.cart_id, CartRow(moment))
        row.status, row.changed_at, row.abandoned_at = CartStatus.OPEN, moment, None
        older = [key for key, each in self.carts.items() if key != change.cart_id and each.status in LIVE]
        for key in older:
            self._clear(self.carts[key], "superseded")
        return ChangedCart(status=row.status, cutoff_at=moment + CUTOFF, superseded=tuple(older))

    @activity.defn
    async def abandon_cart(self, step: CartStep) -> AbandonedCart:
        moment, row = _now("abandon", self), self.carts[step.cart_id]
        if row.status is CartStatus.OPEN and moment < row.changed_at + CUTOFF:
            return AbandonedCart(status=row.status, cutoff_at=row.changed_at + CUTOFF)
        if row.status is CartStatus.OPEN:
            row.status, row.abandoned_at = CartStatus.ABANDONED, moment
        if row.status is not CartStatus.ABANDONED or row.abandoned_at is None:
            return AbandonedCart(status=row.status)
        left = self.delays[row.reminders :]
        return AbandonedCart(
            status=row.status,
            reminders_at=tuple(row.abandoned_at + delay for delay in left),
            first_reminder=row.reminders + 1,
            lost_at=row.abandoned_at + LOST_AFTER,
        )

    @activity.defn
    async def check_reminder(self, step: CheckReminder) -> CheckedReminder:
        moment, row = _now("check", self), self.carts[step.cart_id]
        why = skipped_because(self.facts(step.cart_id), moment)
        is_last = why in FINAL or step.number >= len(self.delays)
        if why is not None:
            mail = self.mails.setdefault((step.cart_id, str(step.number)), MailRow(moment))
            self._skip(mail, row, step.number, why)
        return CheckedReminder(status=row.status, skipped=why, is_last=is_last)

    @activity.defn
    async def end_cart(self, step: EndCart) -> CheckedReminder:
        _now("end", self)
        row = self.carts[step.cart_id]
        if row.status in LIVE:
            self._clear(row, step.reason)
            row.status = step.status
        return CheckedReminder(status=row.status, is_last=True)

    def _clear(self, row: CartRow, reason: str, *, is_erased: bool = True) -> None:
        row.status, row.reason, row.is_erased = CartStatus.CLEARED, reason, is_erased

    # ---- the ledger ----

    @activity.defn
    async def send_mail(self, request: SendMail) -> MailReport:
        """One transaction after the other, as `activities/mail.py` has them, and anything in between."""
        moment = _now("send", self)
        assert request.recipient_id == PERSON
        assert request.template is MailTemplate.CART_REMINDER
        mail = self.mails.setdefault((request.subject_id, request.occasion), MailRow(moment))
        if request.subject_id not in self.carts:
            return self._send_other(mail, moment)
        row, number = self.carts[request.subject_id], int(request.occasion)
        if mail.status is MailStatus.QUEUED and mail.handed_over_at is not None:
            mail.status, mail.reason, row.reminders = MailStatus.UNKNOWN, "interrupted", max(row.reminders, number)
        if mail.status is not MailStatus.QUEUED:
            return _report(mail)
        self.meanwhile("write")
        if (why := skipped_because(self.facts(request.subject_id), moment)) is not None:
            return self._skip(mail, row, number, why)
        self.meanwhile("connect")
        if self.is_mail_down:
            raise ApplicationError("the mail server is down", type="smtp_unreachable")
        self.meanwhile("claim")
        # From here to the claim nothing can come in between: the person's row is locked.
        if self.looks_before_claim:
            why = skipped_because(self.facts(request.subject_id), moment) or self._may_not_yet(mail, moment)
            if why is not None:
                return self._skip(mail, row, number, why)
        if mail.deferred_until is None or mail.deferred_until <= moment:
            self._claim(request, mail, moment)
            self.meanwhile("settle")
            mail.status, mail.deferred_until = MailStatus.SENT, None
            row.reminders, row.reminded_at = max(row.reminders, number), row.reminded_at or moment
        return _report(mail)

    def _send_other(self, mail: MailRow, moment: datetime) -> MailReport:
        """Marketing mail of another job: the arbiter alone decides."""
        if mail.status is MailStatus.QUEUED:
            if (why := self._may_not_yet(mail, moment)) is not None:
                mail.status, mail.reason, mail.deferred_until = MailStatus.SKIPPED, why, None
            elif mail.deferred_until is None:
                mail.status, mail.handed_over_at = MailStatus.SENT, moment
        return _report(mail)

    def _may_not_yet(self, mail: MailRow, moment: datetime) -> str | None:
        """Let the arbiter decide; the reason if the mail is dropped."""
        slot = slot_for(self.handed_over(), moment, self.zone)
        if slot.at > moment and is_too_late(mail.wanted_at, slot):
            return slot.reason
        mail.deferred_until = slot.at if slot.at > moment else None
        return None

    def handed_over(self) -> list[datetime]:
        """When this person got marketing mail."""
        return [moment for _, moment in self.sent()]

    def _claim(self, request: SendMail, mail: MailRow, moment: datetime) -> None:
        if mail.handed_over_at is not None:
            self.wrongs.append(f"mail {request.occasion} went out twice")
        if self.carts[request.subject_id].status in (CartStatus.ORDERED, CartStatus.RECOVERED) or self.owns_course:
            self.wrongs.append(f"mail {request.occasion} went out after the purchase")
        if self.has_withdrawn or self.has_complained:
            self.wrongs.append(f"mail {request.occasion} went out although it is not wanted")
        if self.carts[request.subject_id].status is not CartStatus.ABANDONED:
            self.wrongs.append(f"mail {request.occasion} went out about a cart that is not abandoned")
        if self.carts[request.subject_id].reminders >= int(request.occasion):
            self.wrongs.append(f"mail {request.occasion} went out although its turn was over")
        mail.handed_over_at = moment

    def _skip(self, mail: MailRow, row: CartRow, number: int, reason: str) -> MailReport:
        if mail.status is MailStatus.QUEUED:
            mail.status, mail.reason, mail.deferred_until = MailStatus.SKIPPED, reason, None
        row.reminders = max(row.reminders, number)
        return _report(mail)


def _now(step: str, world: CartWorld) -> datetime:
    world.steps_done[step] += 1
    return activity.info().started_time


def _report(mail: MailRow) -> MailReport:
    return MailReport(mail_id=UUID(int=1), status=mail.status, reason=mail.reason, deferred_until=mail.deferred_until)


@dataclass
class Shopping:
    """A person and their carts, on a simulated clock."""

    world: CartWorld
    simulation: Simulation
    ended: list[tuple[UUID, Run]] = field(default_factory=list)

    def run_of(self, cart: int) -> Run:
        return self.simulation.runs[cart_workflow_id(UUID(int=cart))].latest

    def put(self, cart: int = 1, courses: int = 1, person: UUID = PERSON) -> CartAnswer:
        """`PUT /v1/carts/{id}`: update-with-start.

        Raises:
            WorkflowUpdateFailedError: It was refused.
        """
        cart_id = UUID(int=cart)
        wish = ChangeCart(cart_id=cart_id, person_id=person, course_ids=(COURSE,) * courses, actor=f"student:{person}")
        return cast(CartAnswer, self._update(cart_id, person, CartWorkflow.change, wish))

    def clear(self, cart: int = 1) -> CartAnswer:
        """The "no thanks" of a mail."""
        return cast(CartAnswer, self._update(UUID(int=cart), PERSON, CartWorkflow.clear))

    def _update(self, cart_id: UUID, person: UUID, method: object, *args: object) -> object:
        while True:
            workflow_id = cart_workflow_id(cart_id)
            running = self.simulation.runs.get(workflow_id)
            is_new = running is None or running.latest.ended is not None
            if is_new:
                start = CartStart(cart_id=cart_id, person_id=person)
                running = self.simulation.start(CartWorkflow.run, start, workflow_id)
            assert running is not None
            try:
                return running.latest.update(method, *args, with_start=is_new)
            except WorkflowUpdateFailedError as failed:
                # It ended at that very moment: the caller asks again.
                if "the workflow is over" not in str(failed.cause):
                    raise

    def buy(self, *, told: bool = True) -> None:
        """An order is completed; its workflow tells the carts, at once or never."""
        for cart_id in self.world.buy(self.simulation.now):
            if told:
                self.simulation.runs[cart_workflow_id(cart_id)].signal(CartWorkflow.ordered)

    def wait(self, **time: float) -> None:
        """Let time pass: `hours=1`."""
        self.simulation.run_for(timedelta(**time))

    def outcome(self, cart: int = 1) -> CartStatus:
        """What the workflow ended with: exactly as the record says, unless its last run was refused."""
        result = cast(CartOutcome, self.run_of(cart).result())
        assert self.world.wrongs == []
        status = self.world.carts[UUID(int=cart)].status
        assert result.status is (status if result.refusal is None else None)
        return status


def dying(chance: random.Random) -> Callable[[str], None]:
    """A worker that dies now and then between two steps of a send, at worst with the mail handed over."""

    def maybe_die(step: str) -> None:
        if chance.random() < 0.1:
            raise ApplicationError(f"the worker died before {step}")

    return maybe_die


def shopping(world: CartWorld | None = None, seed: str = "", mishaps: Mishaps | None = None) -> Shopping:
    """A person without any cart yet, at eight in the morning (UTC)."""
    world = world or CartWorld()
    chance = random.Random(seed)  # noqa: S311 - the same every time
    return Shopping(world, Simulation(world.steps, chance, mishaps))
