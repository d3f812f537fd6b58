"""A world for the order workflow on the fast server: the activities' names and signatures, a payment one can move.

Each order has a world of its own; the activities find it by the order's id, so that one worker serves many.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4, uuid5

from temporalio import activity
from temporalio.exceptions import ApplicationError

from models.errors import Reason
from models.messages.documents import RenderDocument, RenderReceipt, StoredFile
from models.messages.learning import StartDrips
from models.messages.mail import MailReport, SendMail
from models.messages.orders import (
    Approved,
    CompletedOrder,
    CompleteOrder,
    ExtendHold,
    GrantApproval,
    InvoiceBalance,
    IssuedInvoice,
    LapseHold,
    OrderLineRequest,
    OrderPayment,
    OrderRequest,
    PaymentFacts,
    PaymentRequest,
    PlacedOrder,
    PlaceOrder,
    RecordInvoicePayment,
    RefundedPlaces,
    RefundPayment,
    RefundPlaces,
    RefundReport,
    ReleaseOrder,
    RequestedPayment,
    SettleByHand,
)
from models.messages.provisioning import Provisioned, ProvisionEnrollment
from models.messages.tasks import CloseTask, EscalatedTask, EscalateTask, OpenedTask, OpenTask
from models.money import Money
from models.vocabulary import (
    MailStatus,
    MailTemplate,
    OrderStatus,
    PaymentMethod,
    PaymentStatus,
    RefundStatus,
)

DIGEST = "a" * 64
_OPEN = (
    PaymentStatus.REQUIRES_PAYMENT_METHOD,
    PaymentStatus.REQUIRES_CONFIRMATION,
    PaymentStatus.REQUIRES_ACTION,
)


def an_order(**changes: object) -> OrderRequest:
    """A plain order of one line."""
    person = uuid4()
    facts: dict[str, object] = {
        "order_id": uuid4(),
        "payer_id": person,
        "lines": (OrderLineRequest(course_id=uuid4(), student_id=person),),
        "payment_method": PaymentMethod.CHECKOUT,
        "requested_by": f"student:{person}",
        "digest": DIGEST,
    }
    return OrderRequest.model_validate(facts | changes)


@dataclass
class OrderWorld:
    """Stands in for PostgreSQL, Stripe, the mail server and people. `did` is what really happened, in order."""

    total: int = 4900
    hold: timedelta = timedelta(minutes=15)
    status: PaymentStatus = PaymentStatus.REQUIRES_PAYMENT_METHOD
    captured: int = 0
    refunded: int = 0
    declines: int = 0
    attempt: int = 0
    approvers: int = 0
    by_invoice: bool = False
    invoice_due: datetime | None = None
    place_refuses: Reason | None = None
    stripe_refuses: Reason | None = None
    cancels_in_vain: int = 0
    mail_ends: MailStatus = MailStatus.SENT
    lost_places: int = 0
    drips: list[UUID] = field(default_factory=list)
    is_provisioned_elsewhere: bool = False
    cart_ids: tuple[UUID, ...] = ()
    starts_drips: bool = False
    refund_ends: list[RefundStatus] = field(default_factory=list)
    refunds_nothing: bool = False
    fail_first: dict[str, int] = field(default_factory=dict)
    down: frozenset[str] = frozenset()
    did: list[str] = field(default_factory=list)
    sent: list[tuple[str, UUID]] = field(default_factory=list)
    holds: list[ExtendHold] = field(default_factory=list)
    tasks: dict[UUID, OpenTask] = field(default_factory=dict)
    decisions: list[CloseTask] = field(default_factory=list)
    paid_by_invoice: dict[UUID, int] = field(default_factory=dict)
    released: ReleaseOrder | None = None
    refund_steps: list[RefundPlaces | RefundPayment] = field(default_factory=list)
    settled: list[RefundStatus] = field(default_factory=list)
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    # ---- what payers, banks and Stripe do ----

    @property
    def mails(self) -> list[str]:
        """The mails that were sent, without their recipients."""
        return [mail for mail, _ in self.sent]

    @property
    def is_open(self) -> bool:
        """Whether somebody could pay now."""
        return self.attempt > 0 and self.status in _OPEN

    def pay(self, amount: int | None = None) -> None:
        """The payer has paid."""
        self.status, self.captured = PaymentStatus.SUCCEEDED, self.total if amount is None else amount

    def decline(self, times: int = 1) -> None:
        """The bank has said no."""
        self.status, self.declines = PaymentStatus.REQUIRES_PAYMENT_METHOD, self.declines + times

    # ---- the steps ----

    def happen(self, what: str) -> None:
        """Something happens, unless it was told to fail first."""
        if activity.in_activity():
            self.now = activity.info().started_time
        if what in self.down:
            # The waits between two tries are the port's; longer ones keep a day's worth of them few.
            raise ApplicationError(f"{what} is down", type="down", next_retry_delay=timedelta(minutes=30))
        if self.fail_first.get(what, 0) > 0:
            self.fail_first[what] -= 1
            raise ApplicationError(f"{what} is down", type="down")
        self.did.append(what)

    def place(self, step: PlaceOrder) -> PlacedOrder:
        self.happen("place")
        if self.place_refuses:
            return PlacedOrder(refusal=self.place_refuses, refusal_detail="No.")
        return PlacedOrder(
            number="O-2026-000001",
            total=self.money(self.total),
            hold_expires_at=self.now + self.hold,
            approver_ids=tuple(uuid4() for _ in range(self.approvers)),
            invoice=None if self.approvers else self._invoice(step.request),
        )

    def approve(self, step: GrantApproval, request: OrderRequest) -> Approved:
        self.happen("approve")
        return Approved(hold_expires_at=self.now + timedelta(hours=24), invoice=self._invoice(request))

    def _invoice(self, request: OrderRequest) -> IssuedInvoice | None:
        if request.payment_method is not PaymentMethod.INVOICE or not self.total:
            return None
        due = self.invoice_due or self.now + timedelta(days=14)
        return IssuedInvoice(document_id=request.order_id, due_on=due.date(), zone="UTC")

    def request_payment(self, step: PaymentRequest) -> RequestedPayment:
        self.happen("request")
        if self.stripe_refuses:
            return RequestedPayment(refusal=self.stripe_refuses, refusal_detail="Stripe refused the payment.")
        if step.attempt > self.attempt:
            self.attempt = step.attempt
            if step.attempt > 1:
                self.status, self.declines = PaymentStatus.REQUIRES_PAYMENT_METHOD, 0
        return RequestedPayment(facts=self.facts())

    def cancel(self) -> PaymentFacts:
        self.happen("cancel")
        if self.cancels_in_vain > 0:
            self.cancels_in_vain -= 1
        elif self.status not in (PaymentStatus.SUCCEEDED, PaymentStatus.PROCESSING):
            self.status = PaymentStatus.CANCELED
        return self.facts()

    def received(self, step: RecordInvoicePayment) -> InvoiceBalance:
        self.happen("received")
        self.paid_by_invoice.setdefault(step.received.entry_id, step.received.amount)
        return InvoiceBalance(amount=self.money(self.total), paid=self.money(sum(self.paid_by_invoice.values())))

    def complete(self, step: CompleteOrder) -> CompletedOrder:
        self.happen("complete")
        places = [uuid5(step.order_id, str(number)) for number in range(max(1, self.lost_places))]
        return CompletedOrder(
            payer_id=uuid4(),
            receipt_id=step.order_id,
            enrollment_ids=tuple(places[self.lost_places :]),
            lost_ids=tuple(places[: self.lost_places]),
            is_provisioned_elsewhere=self.is_provisioned_elsewhere,
            cart_ids=self.cart_ids,
            starts_drips=self.starts_drips,
        )

    def release(self, step: ReleaseOrder) -> OrderStatus | None:
        self.happen("release")
        self.released = step
        return None

    def lapse(self) -> None:
        self.happen("lapse")

    def refund_places(self, step: RefundPlaces) -> RefundedPlaces:
        self.happen("refund")
        self.refund_steps.append(step)
        if self.refunds_nothing:
            return RefundedPlaces(order_status=OrderStatus.REFUNDED)
        status = RefundStatus.REQUIRES_ACTION if self.by_invoice else self._next_refund()
        if status is not RefundStatus.FAILED and not any(
            isinstance(done, RefundPlaces) and (done.reason, done.attempt) == (step.reason, step.attempt)
            for done in self.refund_steps[:-1]
        ):
            self.refunded = self.captured
        return RefundedPlaces(
            order_status=OrderStatus.COMPLETED if status is RefundStatus.FAILED else OrderStatus.REFUNDED,
            refunds=(RefundReport(refund_id=uuid4(), status=status, credit_note_id=step.order_id),),
        )

    def refund_payment(self, step: RefundPayment) -> RefundedPlaces:
        self.happen("refund_payment")
        self.refund_steps.append(step)
        status = self._next_refund()
        if status is not RefundStatus.FAILED:
            self.refunded = step.amount.amount
        return RefundedPlaces(
            order_status=OrderStatus.PENDING_PAYMENT, refunds=(RefundReport(refund_id=uuid4(), status=status),)
        )

    def settle_by_hand(self, step: SettleByHand) -> RefundedPlaces:
        self.happen("settle")
        self.settled.append(step.status)
        if step.status is RefundStatus.SUCCEEDED:
            self.refunded = self.captured
        return RefundedPlaces(
            order_status=OrderStatus.REFUNDED,
            refunds=(RefundReport(refund_id=uuid4(), status=step.status, credit_note_id=step.order_id),),
        )

    def _next_refund(self) -> RefundStatus:
        return self.refund_ends.pop(0) if self.refund_ends else RefundStatus.SUCCEEDED

    def facts(self) -> PaymentFacts:
        return PaymentFacts(
            status=self.status,
            captured=self.money(self.captured),
            refunded_amount=self.refunded,
            payment_intent_id="pi_1",
            declines=self.declines,
        )

    def money(self, amount: int) -> Money:
        return Money(amount=amount, currency="EUR")

    def times(self, what: str) -> int:
        """How often it happened."""
        return Counter(self.did)[what]


@dataclass
class Worlds:
    """The activities of many orders."""

    of: dict[UUID, OrderWorld] = field(default_factory=dict)
    requests: dict[UUID, OrderRequest] = field(default_factory=dict)

    def add(self, world: OrderWorld, request: OrderRequest) -> None:
        """From now on this order lives in this world."""
        self.of[request.order_id], self.requests[request.order_id] = world, request

    def _by(self, workflow_id: str) -> OrderWorld:
        return self.of[UUID(workflow_id[-36:])]

    @property
    def activities(self) -> list[object]:
        return [
            self.place_order, self.grant_approval, self.extend_hold, self.lapse_hold, self.record_invoice_payment,
            self.complete_order, self.release_order, self.request_payment, self.read_payment, self.cancel_payment,
            self.refund_places, self.refund_payment, self.settle_by_hand, self.provision_enrollment,
            self.open_task, self.escalate_task, self.close_task, self.render_receipt, self.render_document,
            self.send_mail, self.start_drips,
        ]  # fmt: skip

    @activity.defn
    async def place_order(self, step: PlaceOrder) -> PlacedOrder:
        return self.of[step.request.order_id].place(step)

    @activity.defn
    async def grant_approval(self, step: GrantApproval) -> Approved:
        return self.of[step.order_id].approve(step, self.requests[step.order_id])

    @activity.defn
    async def start_drips(self, step: StartDrips) -> None:
        world = self._by(activity.info().workflow_id)
        world.happen("drips")
        world.drips += step.enrollment_ids

    @activity.defn
    async def extend_hold(self, step: ExtendHold) -> None:
        world = self.of[step.order_id]
        world.happen("hold")
        world.holds.append(step)

    @activity.defn
    async def lapse_hold(self, step: LapseHold) -> None:
        self.of[step.order_id].lapse()

    @activity.defn
    async def record_invoice_payment(self, step: RecordInvoicePayment) -> InvoiceBalance:
        return self.of[step.order_id].received(step)

    @activity.defn
    async def complete_order(self, step: CompleteOrder) -> CompletedOrder:
        return self.of[step.order_id].complete(step)

    @activity.defn
    async def release_order(self, step: ReleaseOrder) -> OrderStatus | None:
        return self.of[step.order_id].release(step)

    @activity.defn
    async def request_payment(self, step: PaymentRequest) -> RequestedPayment:
        return self.of[step.order_id].request_payment(step)

    @activity.defn
    async def read_payment(self, step: OrderPayment) -> PaymentFacts:
        world = self.of[step.order_id]
        world.happen("read")
        return world.facts()

    @activity.defn
    async def cancel_payment(self, step: OrderPayment) -> PaymentFacts:
        return self.of[step.order_id].cancel()

    @activity.defn
    async def refund_places(self, step: RefundPlaces) -> RefundedPlaces:
        return self.of[step.order_id].refund_places(step)

    @activity.defn
    async def refund_payment(self, step: RefundPayment) -> RefundedPlaces:
        return self.of[step.order_id].refund_payment(step)

    @activity.defn
    async def settle_by_hand(self, step: SettleByHand) -> RefundedPlaces:
        return self.of[step.order_id].settle_by_hand(step)

    @activity.defn
    async def provision_enrollment(self, step: ProvisionEnrollment) -> Provisioned:
        self._by(step.workflow_id).happen("provision")
        return Provisioned(provisioned_at=activity.info().started_time)

    @activity.defn
    async def open_task(self, step: OpenTask) -> OpenedTask:
        world = self._by(step.workflow_id)
        world.happen("task")
        world.tasks[step.task_id] = step
        return OpenedTask(due_at=step.due_at)

    @activity.defn
    async def escalate_task(self, step: EscalateTask) -> EscalatedTask:
        return EscalatedTask()

    @activity.defn
    async def close_task(self, step: CloseTask) -> None:
        world = self._by(step.workflow_id)
        world.happen("decided")
        world.decisions.append(step)

    @activity.defn
    async def render_receipt(self, request: RenderReceipt) -> StoredFile:
        self.of[request.receipt_id].happen("receipt")
        return StoredFile(key="receipts/x.pdf", sha256="0" * 64, size=1)

    @activity.defn
    async def render_document(self, request: RenderDocument) -> StoredFile:
        self.of[request.document_id].happen("document")
        return StoredFile(key="documents/x.pdf", sha256="0" * 64, size=1)

    @activity.defn
    async def send_mail(self, request: SendMail) -> MailReport:
        world = self.of[request.subject_id]
        world.happen("mail")
        # The ledger knows what it has sent: trying the same step again sends nothing.
        mail = (f"{request.template}{request.occasion and f':{request.occasion}'}", request.recipient_id)
        if activity.info().attempt == 1 or mail not in world.sent:
            world.sent.append(mail)
        confirms = request.template is MailTemplate.ORDER_CONFIRMATION
        return MailReport(mail_id=UUID(int=0), status=world.mail_ends if confirms else MailStatus.SENT)
