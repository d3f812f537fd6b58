"""The orders that the documentation shows."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from models.vocabulary import EnrollmentStatus, OrderStatus, PaymentMethod, PaymentStatus
from routes.order_views import (
    EnrollmentOfLine,
    LineView,
    OrderOnItsWay,
    OrderView,
    PaymentView,
    ReceiptLink,
    order_path,
)

ORDER_ID = UUID("5f1c2b8e-0d0a-5b52-8f0e-3f5a3d1c7e21")
_COURSE_ID = UUID("0198f3a0-1111-7000-8000-000000000001")
_PACK_ID = UUID("0198f3a0-1111-7000-8000-000000000002")
_STUDENT_ID = UUID("0198f3a0-2222-7000-8000-000000000001")
_SLOT_IDS = (UUID("0198f3a0-3333-7000-8000-000000000001"), UUID("0198f3a0-3333-7000-8000-000000000002"))

ORDER = OrderView(
    id=ORDER_ID,
    number="O-2026-000042",
    status=OrderStatus.PENDING_PAYMENT,
    status_reason=None,
    payer_id=_STUDENT_ID,
    currency="EUR",
    list_amount=14900,
    discount_amount=1490,
    total_amount=13410,
    total="€134.10",
    quote_reasons=("Conversational Spanish B1: €149.00", "coupon SPRING10: 10 % off"),
    lines=(
        LineView(
            position=1,
            course_id=_COURSE_ID,
            student_id=_STUDENT_ID,
            title="Conversational Spanish B1",
            list_amount=14900,
            discount_amount=1490,
            total_amount=13410,
            slot_ids=(),
            enrollment=EnrollmentOfLine(
                id=UUID("0198f3a0-4444-7000-8000-000000000001"),
                course_id=_COURSE_ID,
                status=EnrollmentStatus.PENDING_PAYMENT,
            ),
        ),
    ),
    payment=PaymentView(
        status=PaymentStatus.REQUIRES_PAYMENT_METHOD,
        method=PaymentMethod.CHECKOUT,
        amount=13410,
        captured_amount=0,
        refunded_amount=0,
        checkout_url="https://checkout.stripe.com/c/pay/cs_test_a1b2c3",
        client_secret=None,
        publishable_key=None,
    ),
    receipt=None,
    hold_expires_at=datetime(2026, 3, 2, 10, 45, tzinfo=UTC),
    is_test=False,
    created_at=datetime(2026, 3, 2, 10, 15, tzinfo=UTC),
    completed_at=None,
    workflow=None,
)

PAID_ORDER = ORDER.model_copy(
    update={
        "status": OrderStatus.COMPLETED,
        "payment": PaymentView(
            status=PaymentStatus.SUCCEEDED,
            method=PaymentMethod.CHECKOUT,
            amount=13410,
            captured_amount=13410,
            refunded_amount=0,
            checkout_url=None,
            client_secret=None,
            publishable_key=None,
        ),
        "receipt": ReceiptLink(number="R-2026-000037", href=f"{order_path(ORDER_ID)}/receipt.pdf"),
        "completed_at": datetime(2026, 3, 2, 10, 17, tzinfo=UTC),
    }
)

ON_ITS_WAY = OrderOnItsWay(id=ORDER_ID, href=order_path(ORDER_ID))

BODIES: dict[str, Any] = {
    "course": {
        "summary": "A student takes a course and pays on Stripe's page",
        "value": {
            "lines": [{"course_id": str(_COURSE_ID)}],
            "coupon_code": "SPRING10",
            "payment_method": "checkout",
        },
    },
    "pack": {
        "summary": "Staff books a tutor's pack for a student",
        "value": {
            "payer_id": str(_STUDENT_ID),
            "lines": [{"course_id": str(_PACK_ID), "slot_ids": [str(slot) for slot in _SLOT_IDS]}],
            "payment_method": "payment_intent",
        },
    },
    "invoice": {
        "summary": "Staff orders for a company, which pays by invoice",
        "value": {
            "payer_id": str(_STUDENT_ID),
            "lines": [{"course_id": str(_COURSE_ID), "student_id": str(_STUDENT_ID)}],
            "payment_method": "invoice",
        },
    },
}
