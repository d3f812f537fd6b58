"""How each invariant is broken in the sound record: statements, or rows to add; no constraint is in their way."""

# ruff: noqa: S608 - statements of our own words

from datetime import UTC, datetime
from uuid import uuid4

from sqlmodel import SQLModel

from models.tables import (
    BulkJobAction,
    Cart,
    Cascade,
    CertificateBatch,
    CourseChange,
    Dispute,
    Export,
    Mail,
    Refund,
    RefundRequest,
    TutorApplication,
)
from models.vocabulary import (
    CascadeKind,
    DisputeStatus,
    ExportFormat,
    ExportReport,
    JobAction,
    MailTemplate,
    RefundCause,
    RefundRequestStatus,
    RefundShare,
    RefundStatus,
)

Step = str | SQLModel
_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_DONE = (
    "(SELECT id FROM orders WHERE status = 'completed' AND total_amount > 0 AND payment_method = 'checkout' LIMIT 1)"
)
_INTENT = "(SELECT payment_intent_id FROM payments WHERE succeeded_at IS NOT NULL AND refunded_amount = 0 LIMIT 1)"
_ITS_ORDER = "(SELECT order_id FROM payments WHERE succeeded_at IS NOT NULL AND refunded_amount = 0 LIMIT 1)"
_LATE = "now() - interval '1 hour'"


def _refund(status: RefundStatus, **values: object) -> Refund:
    return Refund(
        order_id=uuid4(),
        amount=100,
        currency="EUR",
        reason="seat_lost",
        status=status,
        workflow_id="refund-1",
        **values,
    )


BREAKS: dict[str, tuple[Step, ...]] = {
    # ---- money ----
    "what is captured on record came in at Stripe": ("UPDATE stripe_payments SET received = received - 1",),
    "what came in at Stripe is for an order that is fulfilled, or goes back": (
        f"INSERT INTO stripe_payments VALUES ('pi_second', {_DONE}, 'succeeded', 100, 'EUR')",
    ),
    "captured is kept, refunded or lost": ("UPDATE payments SET refunded_amount = 1 WHERE refunded_amount = 0",),
    "what is kept of an order is what Stripe has left of it": ("UPDATE stripe_refunds SET status = 'failed'",),
    "at most one charge of an order counts": (
        f"INSERT INTO stripe_payments VALUES ('pi_second', {_ITS_ORDER}, 'succeeded', 100, 'EUR')",
    ),
    "no refund goes beyond its charge": ("UPDATE stripe_refunds SET amount = amount + 1",),
    "each refund at Stripe is on record": (
        f"INSERT INTO stripe_refunds VALUES ('re_orphan', {_INTENT}, NULL, 'succeeded', 1)",
    ),
    "each refund on record stands as at Stripe": ("UPDATE stripe_refunds SET status = 'pending'",),
    "no refund was made twice": (
        "INSERT INTO stripe_refunds SELECT id || '_again', payment_intent_id, refund_id, status, amount"
        " FROM stripe_refunds",
    ),
    "no place is refunded for more than it cost": (
        "UPDATE enrollments SET share_amount = share_amount - 1 WHERE id = (SELECT enrollment_id FROM refunds)",
    ),
    "every fulfilled order has its money": (
        "UPDATE payments SET status = 'canceled', succeeded_at = NULL WHERE refunded_amount = 0",
    ),
    "an order is refunded when its money is back": (
        "UPDATE orders SET status = 'completed' WHERE status = 'refunded'",
    ),
    "each dispute stands as at Stripe": ("UPDATE stripe_disputes SET status = 'lost'",),
    "a refund that failed was put before a person": (_refund(RefundStatus.FAILED),),
    "a refund that is asked for is on its way": (_refund(RefundStatus.PENDING),),
    "an invoice has what was paid for it": ("DELETE FROM invoice_payments",),
    # ---- places ----
    "every fulfilled order has brought its places": ("DELETE FROM enrollments WHERE status = 'active'",),
    "no place is had without an order that is fulfilled": (
        "UPDATE orders SET status = 'failed', completed_at = NULL WHERE status = 'completed'",
    ),
    "only an open order holds a place": ("UPDATE orders SET status = 'cancelled' WHERE status = 'pending_payment'",),
    "no paid place is gone without a cause": (
        "UPDATE enrollments SET status = 'canceled' WHERE status = 'active'",
        "DELETE FROM disputes",
    ),
    "seats are counted as they are taken": ("UPDATE courses SET seats_taken = seats_taken + 1 WHERE capacity > 1",),
    "no course is oversold": ("UPDATE courses SET capacity = 1 WHERE code = 'python-cohort'",),
    "nobody has a course twice": (
        "UPDATE enrollments SET course_id = (SELECT id FROM courses WHERE code = 'spanish-a1')"
        " WHERE status <> 'canceled'",
    ),
    "slots are held by open orders and booked by fulfilled ones": (
        "UPDATE lesson_slots SET status = 'held' WHERE status = 'booked'",
    ),
    "no hour of a tutor is taken twice": (
        "UPDATE lesson_slots SET starts_at = (SELECT min(starts_at) FROM lesson_slots WHERE status = 'booked')"
        " WHERE status = 'booked'",
    ),
    "a lesson to come has its place": ("UPDATE enrollments SET status = 'canceled'",),
    "uses of coupons are counted": ("UPDATE coupons SET uses = uses + 1",),
    "coupons are used within their limits": ("UPDATE coupons SET usage_limit = 1 WHERE uses > 0",),
    "nobody uses a coupon more often than one may": (
        "UPDATE coupons SET per_person_limit = 1",
        "UPDATE coupon_uses SET person_id = gen_random_uuid()",
        "UPDATE coupon_uses SET person_id = (SELECT min(person_id::text)::uuid FROM coupon_uses)",
    ),
    "uses of coupons go with their orders": ("UPDATE coupon_uses SET status = 'released'",),
    "one certificate of a kind is in force": (
        "INSERT INTO certificates SELECT (jsonb_populate_record(c, jsonb_build_object('id', gen_random_uuid(),"
        " 'number', 'CERT-2026-000777', 'code', 'X'))).* FROM certificates c",
    ),
    "no certificate outlives its place": (
        "UPDATE enrollments SET status = 'canceled'",
        "UPDATE academies SET refund_revokes_certificate = true",
    ),
    "no place outlives its money": (
        "UPDATE enrollments SET status = 'active', enrolled_at = now() WHERE status = 'canceled'",
    ),
    # ---- papers and mails ----
    "every completed order has one receipt": ("DELETE FROM documents WHERE kind = 'receipt'",),
    "every invoice has one paper": ("DELETE FROM documents WHERE kind = 'invoice'",),
    "every refund of a completed order has one credit note": ("DELETE FROM documents WHERE kind = 'credit_note'",),
    "receipts less credit notes are the money kept": ("DELETE FROM documents WHERE kind = 'credit_note'",),
    "numbers have no gap": ("UPDATE documents SET number = 'R-2026-000099' WHERE number LIKE 'R-%-000001'",),
    "no paper is missing": ("UPDATE documents SET file_key = NULL, sha256 = NULL, printed = NULL",),
    "one mail for each key": (
        "INSERT INTO mails SELECT (jsonb_populate_record(m, jsonb_build_object('id', gen_random_uuid()))).*"
        " FROM mails m",
    ),
    "no mail was handed over without an end": ("UPDATE mails SET status = 'queued', sent_at = NULL",),
    "a mail that waits has somebody who sends it": (
        Mail(recipient_id=uuid4(), template=MailTemplate.INVOICE, subject_id=uuid4(), workflow_id="order-1"),
    ),
    "no mail is missing": ("DELETE FROM mails",),
    "no mail arrived twice": ("UPDATE delivered SET copies = 2",),
    "what counts as sent has arrived": ("DELETE FROM delivered",),
    "what has arrived counts as sent or unknown": ("UPDATE mails SET status = 'skipped', sent_at = NULL",),
    "the finance report ties to the record": (
        "UPDATE payments SET captured_amount = captured_amount + 7 WHERE succeeded_at IS NOT NULL",
        "DELETE FROM audit_log WHERE subject_kind = 'refund'",
    ),
    # ---- jobs ----
    "no job has broken": ("UPDATE jobs SET status = 'terminated', is_open = false",),
    "no job is wedged": ("UPDATE jobs SET task_attempts = 5",),
    "no step of a job fails": ("UPDATE jobs SET failing = 'request_payment failed 7 times'",),
    "every open question has a job that waits for it": ("DELETE FROM jobs WHERE workflow_id = 'dispute-dp_1'",),
    "no hold is past its time": (f"UPDATE orders SET hold_expires_at = {_LATE}",),
    "every event of Stripe was passed on": (
        "INSERT INTO stripe_events (event_id, type, status, stripe_created_at, received_at)"
        " VALUES ('evt_1', 'charge.refunded', 'received', now(), now())",
    ),
    "no place waits for a job that should have looked": (f"UPDATE enrollments SET wakes_at = {_LATE}",),
    "no certificate waits for a job that should have looked": (f"UPDATE certificates SET wakes_at = {_LATE}",),
    "no step was written down without its audit entry": ("UPDATE orders SET status = 'failed', completed_at = NULL",),
    "nothing is left behind by OrderWorkflow": ("DELETE FROM jobs",),
    "nothing is left behind by RefundWorkflow": (
        RefundRequest(
            enrollment_id=uuid4(), cause=RefundCause.OTHER, status=RefundRequestStatus.IN_REVIEW, grounds=[], amount=1,
            currency="EUR", requested_by="student:1", workflow_id="refund-1",
        ),
    ),
    "nothing is left behind by RefundWatchWorkflow": (_refund(RefundStatus.PENDING, stripe_refund_id="re_2"),),
    "nothing is left behind by CascadeWorkflow": (
        Cascade(
            kind=CascadeKind.COURSE_REMOVED, course_id=uuid4(), share=RefundShare.FULL, requested_by="admin:1",
            workflow_id="cascade-1",
        ),
    ),
    "nothing is left behind by DisputeWorkflow": (
        Dispute(
            stripe_dispute_id="dp_2", amount=1, currency="EUR", reason="general", opened_at=_NOW,
            status=DisputeStatus.NEEDS_RESPONSE,
        ),
    ),
    "nothing is left behind by TutorApplicationWorkflow": (
        TutorApplication(applicant_id=uuid4(), workflow_id="tutor-application-1"),
    ),
    "nothing is left behind by CartWorkflow": (Cart(person_id=uuid4(), changed_at=_NOW, workflow_id="cart-1"),),
    "nothing is left behind by CertificateBatchWorkflow": (
        CertificateBatch(course_id=uuid4(), requested_by="staff:1", asked_sha256="a" * 64, workflow_id="batch-1"),
    ),
    "nothing is left behind by CourseChangeWorkflow": (
        CourseChange(course_id=uuid4(), change="pause", actor="staff:1", request={}, workflow_id="course-change-1"),
    ),
    "nothing is left behind by ExportWorkflow": (
        Export(
            report=ExportReport.ORDERS, format=ExportFormat.CSV, filters={}, asked_sha256="a" * 64,
            requested_by="staff:1", workflow_id="export-1",
        ),
    ),
    "nothing is left behind by JobActionWorkflow": (
        BulkJobAction(
            action=JobAction.CANCEL, query="", requested_by="staff:1", asked_sha256="a" * 64, workflow_id="job-action-1"
        ),
    ),
}  # fmt: skip
