"""A world for the order workflow on the fast server: the activities' names and signatures, a payment one can move."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from temporalio import activity
from temporalio.exceptions import ApplicationError

from models.errors import Reason
from models.messages.documents import RenderReceipt, StoredFile
from models.messages.mail import MailReport, SendMail
from models.messages.orders import (
    CompletedOrder,
    CompleteOrder,
    OrderLineRequest,
    OrderPayment,
    OrderRequest,
    PaymentFacts,
    PaymentRequest,
    PlacedOrder,
    PlaceOrder,
    ReleaseOrder,
    RequestedPayment,
)
from models.money import Money
from models.vocabulary import MailStatus, PaymentMethod, PaymentStatus

DIGEST = "a" * 64


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
    """Stands in for PostgreSQL, Stripe and the mail server. `did` is what really happened, in order."""

    total: int = 4900
    hold: timedelta = timedelta(minutes=15)
    status: PaymentStatus = PaymentStatus.REQUIRES_PAYMENT_METHOD
    captured: int = 0
    refunded: int = 0
    place_refuses: Reason | None = None
    stripe_refuses: Reason | None = None
    cancels_in_vain: int = 0
    mail_ends: MailStatus = MailStatus.SENT
    fail_first: dict[str, int] = field(default_factory=dict)
    did: list[str] = field(default_factory=list)
    released: ReleaseOrder | None = None

    def pay(self, amount: int | None = None) -> None:
        """The payer pays at Stripe."""
        self.status, self.captured = PaymentStatus.SUCCEEDED, self.total if amount is None else amount

    @property
    def activities(self) -> list[object]:
        return [
            self.place_order,
            self.complete_order,
            self.release_order,
            self.request_payment,
            self.read_payment,
            self.cancel_payment,
            self.render_receipt,
            self.send_mail,
        ]

    @activity.defn
    async def place_order(self, step: PlaceOrder) -> PlacedOrder:
        self._happen("place")
        if self.place_refuses:
            return PlacedOrder(refusal=self.place_refuses, refusal_detail="No.")
        return PlacedOrder(
            number="O-2026-000001", total=self._money(self.total), hold_expires_at=self._now() + self.hold
        )

    @activity.defn
    async def request_payment(self, step: PaymentRequest) -> RequestedPayment:
        self._happen("request")
        if self.stripe_refuses:
            return RequestedPayment(refusal=self.stripe_refuses, refusal_detail="Stripe refused the payment.")
        return RequestedPayment(facts=self._facts())

    @activity.defn
    async def read_payment(self, step: OrderPayment) -> PaymentFacts:
        self._happen("read")
        return self._facts()

    @activity.defn
    async def cancel_payment(self, step: OrderPayment) -> PaymentFacts:
        self._happen("cancel")
        if self.cancels_in_vain > 0:
            self.cancels_in_vain -= 1
        elif self.status not in (PaymentStatus.SUCCEEDED, PaymentStatus.PROCESSING):
            self.status = PaymentStatus.CANCELED
        return self._facts()

    @activity.defn
    async def complete_order(self, step: CompleteOrder) -> CompletedOrder:
        self._happen("complete")
        return CompletedOrder(payer_id=uuid4(), receipt_id=uuid4(), enrollment_ids=(uuid4(),))

    @activity.defn
    async def release_order(self, step: ReleaseOrder) -> None:
        self._happen("release")
        self.released = step

    @activity.defn
    async def render_receipt(self, request: RenderReceipt) -> StoredFile:
        self._happen("receipt")
        return StoredFile(key="receipts/x.pdf", sha256="0" * 64, size=1)

    @activity.defn
    async def send_mail(self, request: SendMail) -> MailReport:
        self._happen("mail")
        return MailReport(mail_id=UUID(int=0), status=self.mail_ends)

    def _happen(self, what: str) -> None:
        if self.fail_first.get(what, 0) > 0:
            self.fail_first[what] -= 1
            raise ApplicationError(f"{what} is down", type="down")
        self.did.append(what)

    def _now(self) -> datetime:
        return activity.info().started_time if activity.in_activity() else datetime.now(UTC)

    def _facts(self) -> PaymentFacts:
        return PaymentFacts(
            status=self.status,
            captured=self._money(self.captured),
            refunded_amount=self.refunded,
            payment_intent_id="pi_1",
        )

    def _money(self, amount: int) -> Money:
        return Money(amount=amount, currency="EUR")
