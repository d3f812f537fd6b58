"""A small installation at rest in which every invariant holds, and what Stripe, Temporal and the mailbox have of it."""

from uuid import UUID

from sqlalchemy import select, text, update
from sqlmodel import col

from activities.audit import StateChange, write_audit
from activities.certificates import CertificateActivities
from activities.database import Sessions
from activities.orders import OrderActivities
from chaos.outside import Outside
from models.identifiers import mail_id_for, order_workflow_id
from models.messages.orders import CompleteOrder
from models.tables import (
    Certificate,
    Dispute,
    Enrollment,
    HumanTask,
    Mail,
    Order,
    Payment,
    Refund,
)
from models.tables.columns import now
from models.vocabulary import (
    DisputeStatus,
    EnrollmentStatus,
    MailStatus,
    MailTemplate,
    PaymentMethod,
    TaskKind,
)
from tests.integration.certified_places import confirm, issued
from tests.integration.letter_steps import pay_back, received
from tests.integration.order_steps import (
    completing,
    enroll,
    enrollments_of,
    line,
    person,
    placed,
    placing,
    slots_of,
)

LAYLA, AOIFE, COMPANY = person("layla"), person("aoife"), person("company")


async def write_sound_record(sessions: Sessions, orders: OrderActivities) -> Outside:
    """Orders of each kind with all that follows from them, by the very steps of the product."""
    with_coupon = placing(line("python-cohort"), coupon="WELCOME10")
    await orders.complete_order(completing(with_coupon, await placed(orders, with_coupon)))
    paid_back = await enroll(sessions, orders, "french-a2", AOIFE)
    await pay_back(sessions, paid_back, (await enrollments_of(sessions, paid_back))[0].id)
    slots = [slot.id for slot in (await slots_of(sessions, "ukrainian-pack"))[:3]]
    await enroll(sessions, orders, "ukrainian-pack", LAYLA, slots=slots)
    by_invoice = placing(line("spanish-a1", AOIFE), payer=COMPANY, method=PaymentMethod.INVOICE)
    due = (await placed(orders, by_invoice)).total
    assert due is not None
    await received(orders, by_invoice, due.amount)
    await orders.complete_order(
        CompleteOrder(order_id=by_invoice.request.order_id, payment=None, workflow_id=by_invoice.workflow_id)
    )
    await placed(orders, placing(line("python-cohort", LAYLA), payer=LAYLA, coupon="WELCOME10"))
    await placed(orders, placing(line("spanish-a1", LAYLA), payer=LAYLA))
    await confirm(sessions, "Lukasz Zolcinski")
    free = await enroll(sessions, orders, "study-skills", completed_at=now())
    await issued(CertificateActivities(sessions), (await enrollments_of(sessions, free))[0].id, now())
    await _finish(sessions)
    return await _outside_of(sessions)


async def _finish(sessions: Sessions) -> None:
    """What the jobs would have done of papers, mails and plans; and a dispute that was won, with its question."""
    async with sessions.begin() as session:
        await session.execute(text("UPDATE documents SET file_key = 'f', sha256 = repeat('a', 64), printed = '{}'"))
        await session.execute(update(Certificate).values(file_sha256="a" * 64, wakes_at=None))
        await session.execute(
            update(Enrollment)
            .where(col(Enrollment.status).in_((EnrollmentStatus.ACTIVE, EnrollmentStatus.COMPLETED)))
            .values(planned_at=now(), wakes_at=None)
        )
        payments = (
            (await session.execute(select(Payment).where(col(Payment.succeeded_at).is_not(None)))).scalars().all()
        )
        disputed = next(each for each in payments if not each.refunded_amount)
        session.add(
            Dispute(
                stripe_dispute_id="dp_1", order_id=disputed.order_id, payment_intent_id=disputed.payment_intent_id,
                amount=disputed.captured_amount, currency=disputed.currency, reason="general",
                status=DisputeStatus.WON, opened_at=now(),
            )
        )  # fmt: skip
        session.add(
            HumanTask(
                kind=TaskKind.DISPUTE, subject_kind="order", subject_id=disputed.order_id, workflow_id="dispute-dp_1",
                reason="It is disputed.", allowed_actions=["approve", "reject"], due_at=now(),
            )
        )  # fmt: skip
        completed = (await session.execute(select(Order).where(col(Order.completed_at).is_not(None)))).scalars().all()
        refund = (await session.execute(select(Refund))).scalar_one()
        holder = select(Certificate, col(Enrollment.student_id)).join(
            Enrollment, col(Enrollment.id) == col(Certificate.enrollment_id)
        )
        certificate, student_id = (await session.execute(holder)).one()
        wanted: list[tuple[UUID, MailTemplate, UUID, str]] = [
            (each.payer_id, MailTemplate.ORDER_CONFIRMATION, each.id, "") for each in completed
        ]
        paid_back = next(each for each in completed if each.id == refund.order_id)
        wanted.append((paid_back.payer_id, MailTemplate.REFUND, refund.order_id, refund.reason))
        wanted.append((student_id, MailTemplate.CERTIFICATE_ISSUED, certificate.id, ""))
        for recipient_id, template, subject_id, occasion in wanted:
            mail = Mail(
                id=mail_id_for(recipient_id, template, subject_id, occasion), recipient_id=recipient_id,
                template=template, subject_id=subject_id, occasion=occasion, status=MailStatus.SENT,
                workflow_id=order_workflow_id(subject_id), handed_over_at=now(), sent_at=now(),
            )  # fmt: skip
            session.add(mail)
            change = StateChange("mail", mail.id, MailStatus.QUEUED, MailStatus.SENT)
            await write_audit(session, [change], actor="system", reason="mail sent", workflow_id=mail.workflow_id)


async def _outside_of(sessions: Sessions) -> Outside:
    async with sessions() as session:
        payments = (await session.execute(select(Payment))).scalars().all()
        refunds = (await session.execute(select(Refund))).scalars().all()
        disputes = (await session.execute(select(Dispute))).scalars().all()
        orders = (await session.execute(select(Order))).scalars().all()
        mails = (await session.execute(select(Mail))).scalars().all()
    jobs = [(order_workflow_id(each.id), "OrderWorkflow", each.completed_at is None) for each in orders]
    jobs.append(("dispute-dp_1", "DisputeWorkflow", True))
    return Outside(
        stripe_payments=[
            {
                "id": each.payment_intent_id or f"pi_{each.order_id.hex}", "order_id": each.order_id,
                "status": str(each.status), "received": each.captured_amount, "currency": each.currency,
            }
            for each in payments
        ],
        stripe_refunds=[
            {
                "id": each.stripe_refund_id, "payment_intent_id": each.payment_intent_id, "refund_id": each.id,
                "status": str(each.status), "amount": each.amount,
            }
            for each in refunds
        ],
        stripe_disputes=[
            {
                "id": each.stripe_dispute_id, "payment_intent_id": each.payment_intent_id,
                "status": str(each.status), "amount": each.amount,
            }
            for each in disputes
        ],
        jobs=[
            {
                "workflow_id": workflow_id, "type": job_type, "status": "running" if is_open else "completed",
                "is_open": is_open, "task_attempts": 0, "failing": None, "on_purpose": False,
            }
            for workflow_id, job_type, is_open in jobs
        ],
        delivered=[{"mail_id": each.id, "copies": 1} for each in mails],
        knows_mails=True,
    )  # fmt: skip
