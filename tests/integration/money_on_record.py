"""A random record of orders, payments, invoices, refunds and disputes, and a ledger of its own of what money moved.

The ledger is written down while the record is made up, so that reports can be held against sums that no statement of
theirs has any part in.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from random import Random
from uuid import UUID, uuid4

from sqlalchemy import insert
from sqlmodel import SQLModel

from activities.database import Sessions
from models.identifiers import new_id
from models.money import split
from models.tables import (
    AuditEntry,
    Dispute,
    Enrollment,
    Invoice,
    InvoicePayment,
    Order,
    OrderLine,
    Payment,
    Refund,
)
from models.vocabulary import (
    DisputeStatus,
    EnrollmentStatus,
    InvoiceStatus,
    OfflineMethod,
    OrderStatus,
    PaymentMethod,
    PaymentStatus,
    RefundPolicy,
    RefundStatus,
)
from sandbox.sample_academy import sample_id

BEGINS = datetime(2026, 2, 20, tzinfo=UTC)
DAYS = 90  # over the night in which the clocks of Berlin are put forward
CURRENCIES = ("EUR", "JPY", "KWD")
COURSES = ("spanish-a1", "python-cohort", "language-bundle")
_CARD = (PaymentMethod.CHECKOUT, PaymentMethod.PAYMENT_INTENT)


@dataclass(frozen=True)
class Sale:
    """A line of a completed order."""

    at: datetime
    order_id: UUID
    currency: str
    code: str
    gross: int
    discount: int
    total: int


@dataclass(frozen=True)
class Moved:
    """Money that moved, negative where it left; for which sold course, if for one."""

    at: datetime
    currency: str
    amount: int
    word: str
    code: str | None = None
    is_of_sale: bool = True


@dataclass
class MadeUp:
    """The record, and what it comes to."""

    rows: list[list[SQLModel]] = field(default_factory=lambda: [[], [], [], []])
    sales: list[Sale] = field(default_factory=list)
    ledger: list[Moved] = field(default_factory=list)
    owed: dict[str, int] = field(default_factory=dict)


class _Order:
    """One order while it is made up."""

    def __init__(self, chance: Random, made_up: MadeUp, number: int, codes: Sequence[str]) -> None:
        self.chance, self.made_up = chance, made_up
        self.currency = chance.choice(CURRENCIES)
        self.method = chance.choice(tuple(PaymentMethod))
        self.is_test = chance.random() < 0.1
        self.is_completed = chance.random() < 0.85
        self.at = BEGINS + timedelta(seconds=chance.randrange(DAYS * 86_400))
        self.codes = chance.sample(list(codes), chance.randint(1, len(codes)))
        prices = [chance.randrange(100, 9_000) * 10 for _ in self.codes]
        self.discounts = [chance.choice((0, price // 10)) for price in prices]
        self.prices = prices
        self.totals = [price - off for price, off in zip(prices, self.discounts, strict=True)]
        self.total = sum(self.totals)
        self.order = Order(
            id=new_id(), number=f"O-2026-9{number:05d}", payer_id=sample_id("person", "grace"),
            status=OrderStatus.COMPLETED if self.is_completed else OrderStatus.PENDING_PAYMENT,
            payment_method=self.method, currency=self.currency, list_amount=sum(prices),
            discount_amount=sum(self.discounts), total_amount=self.total, quote={}, request_digest="a" * 64,
            created_at=self.at - timedelta(days=10), hold_expires_at=self.at, is_test=self.is_test,
            completed_at=self.at if self.is_completed else None,
        )  # fmt: skip
        self.place_ids = [new_id() for _ in self.codes]
        self.intent_id: str | None = None

    def write(self) -> None:
        """Everything about it."""
        rows, order = self.made_up.rows, self.order
        rows[0].append(order)
        for place, code in enumerate(self.codes):
            line = OrderLine(
                id=new_id(), order_id=order.id, position=place, course_id=sample_id("course", code),
                student_id=sample_id("person", "grace"), title=code, list_amount=self.prices[place],
                discount_amount=self.discounts[place], total_amount=self.totals[place],
            )  # fmt: skip
            rows[1].append(line)
            rows[2].append(
                Enrollment(
                    id=self.place_ids[place], order_line_id=line.id, course_id=line.course_id,
                    student_id=line.student_id, status=EnrollmentStatus.CANCELED, refund_policy=RefundPolicy.WINDOW,
                    share_amount=self.totals[place],
                )
            )  # fmt: skip
            if self.is_completed and not self.is_test:
                self.made_up.sales.append(
                    Sale(self.at, order.id, self.currency, code, self.prices[place], self.discounts[place],
                         self.totals[place])
                )  # fmt: skip
        if self.method in _CARD:
            self._pay_by_card()
        else:
            self._pay_by_invoice()

    def _pay_by_card(self) -> None:
        if not self.is_completed and self.chance.random() < 0.5:
            return
        self.intent_id = f"pi_{self.order.id.hex}"
        refunded = self._refund(self.total)
        self.made_up.rows[1].append(
            Payment(
                order_id=self.order.id, status=PaymentStatus.SUCCEEDED, amount=self.total, currency=self.currency,
                captured_amount=self.total, refunded_amount=refunded, payment_intent_id=self.intent_id,
                charge_id=f"ch_{self.order.id.hex}", succeeded_at=self.at,
            )
        )  # fmt: skip
        self._moved(self.at, self.total, self.method)
        if not refunded and self.chance.random() < 0.3:
            self._dispute()

    def _pay_by_invoice(self) -> None:
        weights = [self.chance.randrange(1, 9) for _ in range(self.chance.randint(1, 3))]
        parts = split(self.total, weights)[: None if self.is_completed else -1]
        invoice = Invoice(
            id=new_id(), order_id=self.order.id, currency=self.currency, amount=self.total, paid_amount=sum(parts),
            status=InvoiceStatus.PAID if self.is_completed else InvoiceStatus.OPEN, due_on=date(2026, 4, 1),
            closed_at=self.at if self.is_completed else None,
        )  # fmt: skip
        self.made_up.rows[1].append(invoice)
        if not self.is_completed and not self.is_test:
            owed = self.made_up.owed
            owed[self.currency] = owed.get(self.currency, 0) + self.total - sum(parts)
        for place, part in enumerate(each for each in parts if each):
            at, method = self.at - timedelta(days=2 * place), self.chance.choice(tuple(OfflineMethod))
            self.made_up.rows[2].append(
                InvoicePayment(invoice_id=invoice.id, amount=part, created_at=at, received_on=at.date(), method=method,
                               recorded_by="staff:1")
            )  # fmt: skip
            self._moved(at, part, method)
        if self.is_completed:
            self._refund(self.total)

    def _refund(self, most: int) -> int:
        """Some refunds, each with its own fate; how much of them goes back."""
        back = 0
        for _ in range(self.chance.choice((0, 0, 1, 2))):
            place = self.chance.choice((None, *range(len(self.codes))))
            refund = Refund(
                id=new_id(), order_id=self.order.id, enrollment_id=None if place is None else self.place_ids[place],
                payment_intent_id=self.intent_id, amount=max(1, (most - back) // 3), currency=self.currency,
                reason="seat_lost", workflow_id="refund",
            )  # fmt: skip
            at, was, code = self.at, None, None if place is None else self.codes[place]
            for fate in self.chance.choice((("pending",), ("pending", "succeeded"), ("pending", "failed"),
                                            ("pending", "failed", "pending"), ("failed",))):  # fmt: skip
                at += timedelta(days=self.chance.randrange(20), seconds=1)
                self._audit("refund", refund.id, was, fate, at)
                if (was in (None, "failed")) != (fate == "failed"):
                    sign = 1 if fate == "failed" else -1
                    self._moved(at, sign * refund.amount, refund.reason, code)
                was = fate
            refund.status = RefundStatus(was or "pending")
            back += refund.amount if was != "failed" else 0
            self.made_up.rows[3].append(refund)
        return back

    def _dispute(self) -> None:
        dispute = Dispute(
            id=new_id(), stripe_dispute_id=f"dp_{self.order.id.hex}", order_id=self.order.id,
            payment_intent_id=self.intent_id, amount=self.total, currency=self.currency, reason="fraudulent",
            status=DisputeStatus.NEEDS_RESPONSE, opened_at=self.at,
        )  # fmt: skip
        at, was = self.at, None
        for fate in self.chance.choice((("needs_response",), ("needs_response", "lost"), ("lost", "under_review"),
                                        ("needs_response", "won"))):  # fmt: skip
            at += timedelta(days=self.chance.randrange(20), seconds=1)
            self._audit("dispute", dispute.id, was, fate, at)
            if (was == "lost") != (fate == "lost"):
                self._moved(at, self.total if was == "lost" else -self.total, "dispute")
            dispute.status, was = DisputeStatus(fate), fate
        self.made_up.rows[3].append(dispute)

    def _audit(self, kind: str, subject_id: UUID, was: str | None, becomes: str, at: datetime) -> None:
        self.made_up.rows[3].append(
            AuditEntry(actor="stripe", subject_kind=kind, subject_id=subject_id, from_state=was, to_state=becomes,
                       reason="told", created_at=at)
        )  # fmt: skip

    def _moved(self, at: datetime, amount: int, word: str, code: str | None = None) -> None:
        if not self.is_test:
            self.made_up.ledger.append(Moved(at, self.currency, amount, str(word), code, self.is_completed))


async def write_made_up(sessions: Sessions, seed: str, orders: int, codes: Sequence[str] = COURSES) -> MadeUp:
    """Make up so many orders by this seed, and write them into a record that has the sample academy."""
    chance, made_up = Random(seed), MadeUp()  # noqa: S311 - nothing secret
    for number in range(orders):
        _Order(chance, made_up, number, codes).write()
    # Money beside an order, paid twice and paid back, is in no account.
    beside = Refund(
        id=uuid4(), order_id=made_up.rows[0][0].id, payment_intent_id="pi_beside", amount=777, currency="EUR",  # type: ignore[attr-defined]
        reason="double_payment", workflow_id="unmatched", status=RefundStatus.SUCCEEDED,
    )  # fmt: skip
    made_up.rows[3] += [
        beside,
        AuditEntry(actor="stripe", subject_kind="refund", subject_id=beside.id, to_state="succeeded", reason="told",
                   created_at=BEGINS),
    ]  # fmt: skip
    async with sessions.begin() as session:
        for rows in made_up.rows:
            for table in dict.fromkeys(type(row) for row in rows):
                values = [row.model_dump() for row in rows if type(row) is table]
                await session.execute(insert(table), values)
    return made_up
