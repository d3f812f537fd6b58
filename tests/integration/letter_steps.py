"""Orders as far as a letter needs them, the letter sent, and what arrived of it."""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update
from sqlmodel import SQLModel, col
from temporalio.exceptions import ApplicationError

from activities.database import Sessions
from activities.documents import DocumentActivities
from activities.mail import MailActivities
from activities.orders import OrderActivities
from activities.refund_record import Told, request_refunds, write_refunds
from models.identifiers import order_workflow_id
from models.messages.documents import RenderDocument
from models.messages.mail import MailReport, SendMail
from models.messages.orders import (
    MarkPaid,
    OrderLineRequest,
    PlaceOrder,
    RecordInvoicePayment,
    RefundPlaces,
    ReleaseOrder,
)
from models.tables import Document, Order
from models.tables.columns import now
from models.vocabulary import DocumentKind, MailStatus, MailTemplate, OrderStatus, PaymentMethod, RefundStatus
from sandbox.mailbox import Mailbox
from sandbox.maildir import StoredMail
from tests.integration.order_steps import completing, line, person, placed, placing

GRACE = person("grace")


async def send(
    mails: MailActivities, template: MailTemplate, subject_id: UUID, *, to: UUID = GRACE, occasion: str = ""
) -> MailReport:
    return await mails.send_mail(
        SendMail(
            recipient_id=to, template=template, subject_id=subject_id, occasion=occasion,
            workflow_id=order_workflow_id(subject_id),
        )
    )  # fmt: skip


async def arrived(
    mails: MailActivities, mailbox: Mailbox, template: MailTemplate, subject_id: UUID, *, to: UUID = GRACE,
    occasion: str = "",
) -> StoredMail:  # fmt: skip
    """The mail that this sends, and nothing else."""
    mailbox.clear()
    report = await send(mails, template, subject_id, to=to, occasion=occasion)
    assert report.status is MailStatus.SENT, report
    [mail] = mailbox.mails()
    return mail


def text_of(mail: StoredMail) -> str:
    """The plain text, in lines of ours."""
    return "\n".join((mail.text or "").splitlines())


async def skipped(mails: MailActivities, mailbox: Mailbox, template: MailTemplate, order_id: UUID) -> str | None:
    """Why this is not sent; and it is not sent later either."""
    mailbox.clear()
    report = await send(mails, template, order_id)
    assert report == await send(mails, template, order_id)
    assert report.status is MailStatus.SKIPPED
    assert mailbox.mails() == []
    return report.reason


async def refusal(
    mails: MailActivities, template: MailTemplate, subject_id: UUID, *, to: UUID = GRACE, occasion: str = ""
) -> tuple[str | None, bool]:
    with pytest.raises(ApplicationError) as caught:
        await send(mails, template, subject_id, to=to, occasion=occasion)
    assert "grace" not in str(caught.value).lower()
    return caught.value.type, caught.value.non_retryable


async def render(mails: MailActivities, order_id: UUID) -> list[Document]:
    """Make the files of all documents of the order."""
    query = select(Document).where(col(Document.order_id) == order_id).order_by(col(Document.id))
    with ThreadPoolExecutor(1) as executor:
        documents = DocumentActivities(mails.sessions, mails.files, executor)
        async with mails.sessions() as session:
            found = (await session.execute(query)).scalars().all()
        for document in found:
            await documents.render_document(RenderDocument(document_id=document.id))
    return list(found)


async def change(mails: MailActivities, table: type[SQLModel], **values: object) -> None:
    """Every row of the table."""
    async with mails.sessions.begin() as session:
        await session.execute(update(table).values(**values))


async def order(
    orders: OrderActivities, *lines: OrderLineRequest, method: PaymentMethod = PaymentMethod.CHECKOUT
) -> PlaceOrder:
    step = placing(*(lines or [line("spanish-a1", GRACE)]), payer=GRACE, method=method, by="staff:1")
    await placed(orders, step)
    return step


async def release(orders: OrderActivities, step: PlaceOrder, reason: str) -> None:
    await orders.release_order(
        ReleaseOrder(
            order_id=step.request.order_id, status=OrderStatus.CANCELLED, reason=reason, actor="system",
            workflow_id=step.workflow_id,
        )
    )  # fmt: skip


async def complete(orders: OrderActivities, step: PlaceOrder) -> UUID:
    await orders.complete_order(completing(step, await placed(orders, step)))
    return step.request.order_id


async def pay_back(sessions: Sessions, step: PlaceOrder, *places: UUID, reason: str = "seat_lost") -> None:
    """The places end and their shares are on their way back, as Stripe would say."""
    asked = RefundPlaces(
        order_id=step.request.order_id, enrollment_ids=places, reason=reason, workflow_id=step.workflow_id
    )
    async with sessions.begin() as session:
        refunds = await request_refunds(session, asked)
    told = {refund.id: Told(RefundStatus.SUCCEEDED, f"re_{refund.id.hex}") for refund in refunds}
    async with sessions.begin() as session:
        order = await session.get_one(Order, asked.order_id, with_for_update=True)
        await write_refunds(session, order, told, reason=reason, workflow_id=step.workflow_id)


async def received(orders: OrderActivities, step: PlaceOrder, amount: int) -> None:
    money = MarkPaid(entry_id=uuid4(), amount=amount, received_on=now().date(), actor="staff:1")
    await orders.record_invoice_payment(
        RecordInvoicePayment(order_id=step.request.order_id, received=money, workflow_id=step.workflow_id)
    )


async def receipt_of(mails: MailActivities, order_id: UUID) -> UUID:
    """The order's receipt."""
    query = select(col(Document.id)).where(
        col(Document.order_id) == order_id, col(Document.kind) == DocumentKind.RECEIPT
    )
    async with mails.sessions() as session:
        return (await session.execute(query)).scalar_one()
