"""The step that makes a document: read the facts, set it, store it, write down where it is."""

import asyncio
from concurrent.futures import Executor
from dataclasses import dataclass
from uuid import UUID

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.database import Sessions
from activities.files import FileStore
from activities.order_facts import OrderFacts, facts_of_receipt
from activities.receipt import ReceiptFacts, ReceiptLine, Seller, render_receipt_pdf
from models.messages.documents import RenderReceipt, StoredFile
from models.money import Money
from models.tables import Document


@dataclass
class DocumentActivities:
    """Steps that set documents. Setting takes processor time, so it happens in the executor."""

    sessions: Sessions
    files: FileStore
    executor: Executor

    @activity.defn
    async def render_receipt(self, request: RenderReceipt) -> StoredFile:
        """Set and store the receipt; a repeat returns the stored file as it is.

        Raises a non-retryable `ApplicationError` (`receipt_unknown`) if there is no such receipt.
        """
        async with self.sessions() as session:
            facts = await facts_of_receipt(session, request.receipt_id)
        if facts is None:
            raise ApplicationError("there is no such receipt", type="receipt_unknown", non_retryable=True)
        if (stored := await self._stored(facts.receipt)) is not None:
            return stored
        pdf = await asyncio.get_running_loop().run_in_executor(self.executor, render_receipt_pdf, _printed(facts))
        return await self._store(request.receipt_id, pdf)

    async def _store(self, receipt_id: UUID, pdf: bytes) -> StoredFile:
        async with self.sessions.begin() as session:
            # Locked until the row names the file, so that an attempt that lost its race overwrites nothing.
            receipt = await session.get_one(Document, receipt_id, with_for_update=True)
            if (stored := await self._stored(receipt)) is not None:
                return stored
            file = await self.files.put(f"receipts/{receipt_id}.pdf", pdf, "application/pdf")
            receipt.file_key, receipt.sha256, receipt.printed = file.key, file.sha256, {}
            return file

    async def _stored(self, receipt: Document) -> StoredFile | None:
        if receipt.file_key is None or receipt.sha256 is None:
            return None
        return StoredFile(key=receipt.file_key, sha256=receipt.sha256, size=await self.files.size(receipt.file_key))


def _printed(facts: OrderFacts) -> ReceiptFacts:
    order, academy, payment = facts.order, facts.academy, facts.payment

    def money(amount: int) -> Money:
        return Money(amount=amount, currency=order.currency)

    return ReceiptFacts(
        receipt_number=facts.receipt.number,
        order_number=order.number,
        issued_at=facts.receipt.issued_at,
        locale=facts.payer.locale,
        seller=Seller(
            name=academy.name,
            legal_name=academy.legal_name,
            address=academy.address,
            tax_number=academy.tax_number,
            email=academy.email,
            time_zone=academy.time_zone,
        ),
        payer_name=facts.payer.full_name,
        payer_email=facts.payer.email,
        lines=tuple(
            ReceiptLine(
                title=bought.line.title,
                student_name=bought.student.full_name,
                list_price=money(bought.line.list_amount),
                discount=money(bought.line.discount_amount),
                total=money(bought.line.total_amount),
            )
            for bought in facts.lines
        ),
        subtotal=money(order.list_amount),
        discount=money(order.discount_amount),
        total=money(order.total_amount),
        payment_reference=None if payment is None else payment.charge_id or payment.payment_intent_id,
        is_test=order.is_test,
    )
