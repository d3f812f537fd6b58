"""The numbered documents of an order as PDFs: downloaded, or mailed once more; and its dates as a calendar file."""

import contextlib
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlmodel import col
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError

from activities.calendar import calendar_file, entries_of_order
from activities.database import Sessions
from activities.files import FileMissingError
from models import search
from models.errors import Reason
from models.identifiers import document_copy_id_for, document_copy_workflow_id
from models.messages.documents import SendCopy
from models.tables import Document, Order
from models.vocabulary import DocumentKind, WaitingFor
from routes.authentication import REFUSALS, AuthenticatedRoute, require
from routes.documentation import answer, problems
from routes.order_reading import read_document, read_status
from routes.parts import Parts, TheConnections, TheParts
from routes.problems import ProblemError
from routes.stored_files import IfNoneMatch, file_answer, file_answers
from routes.tokens import Principal
from routes.validation import idempotency_header
from workflows.document_copy import DocumentCopyWorkflow
from workflows.queues import REGISTRAR_QUEUE

router = APIRouter(prefix="/v1", tags=["documents"], route_class=AuthenticatedRoute)

_TheCaller = Annotated[Principal, Depends(require())]
_PDF = file_answers("The document", ("application/pdf",), "%PDF-1.4 …")
_CALENDAR: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The calendar file",
        "content": {"text/calendar": {"schema": {"type": "string"}, "example": "BEGIN:VCALENDAR …"}},
    }
}


class CopyOnItsWay(BaseModel):
    """A document that is being mailed once more."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    copy_id: UUID
    document: str = Field(description="its number")


_COPY = CopyOnItsWay(copy_id=UUID("7c1e2b8e-0d0a-5b52-8f0e-3f5a3d1c7e21"), document="R-2026-000037")


@router.get(
    "/orders/{order_id}/receipt.pdf",
    summary="Download the receipt",
    response_class=Response,
    responses={
        **_PDF,
        **problems(
            *REFUSALS,
            Reason.INVALID_REQUEST,
            Reason.NOT_FOUND,
            Reason.RECEIPT_NOT_READY,
            Reason.DOCUMENT_NOT_READY,
            Reason.UNAVAILABLE,
        ),
    },
)
async def get_receipt(
    order_id: UUID,
    principal: _TheCaller,
    parts: TheParts,
    connections: TheConnections,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """For the payer and staff, as soon as the order is completed and the file is written."""
    await _require_order(connections.sessions, order_id, principal)
    receipt = await read_document(connections.sessions, order_id, DocumentKind.RECEIPT)
    if receipt is None or receipt.file_key is None:
        raise ProblemError(Reason.RECEIPT_NOT_READY, "The receipt follows when the order is paid.")
    return await _file(parts, receipt, if_none_match)


@router.get(
    "/orders/{order_id}/invoice.pdf",
    summary="Download the invoice",
    response_class=Response,
    responses={
        **_PDF,
        **problems(*REFUSALS, Reason.INVALID_REQUEST, Reason.NOT_FOUND, Reason.DOCUMENT_NOT_READY, Reason.UNAVAILABLE),
    },
)
async def get_invoice(
    order_id: UUID,
    principal: _TheCaller,
    parts: TheParts,
    connections: TheConnections,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """For the payer and staff; orders that are not paid by invoice have none."""
    await _require_order(connections.sessions, order_id, principal)
    return await _file(parts, await read_document(connections.sessions, order_id, DocumentKind.INVOICE), if_none_match)


@router.get(
    "/orders/{order_id}/calendar.ics",
    summary="Download the dates of an order",
    response_class=Response,
    responses={**_CALENDAR, **problems(*REFUSALS, Reason.INVALID_REQUEST, Reason.NOT_FOUND, Reason.UNAVAILABLE)},
)
async def get_calendar(order_id: UUID, principal: _TheCaller, parts: TheParts, connections: TheConnections) -> Response:
    """Its booked lessons and the class sessions of its courses, for any calendar program."""
    await _require_order(connections.sessions, order_id, principal)
    async with connections.sessions() as session:
        entries = await entries_of_order(session, order_id)
    if not entries:
        raise ProblemError(Reason.NOT_FOUND, "The order has no lessons or classes at fixed times.")
    return Response(
        calendar_file(entries, parts.settings.mail_domain),
        media_type="text/calendar",
        headers={"Content-Disposition": 'attachment; filename="lessons.ics"'},
    )


@router.get(
    "/documents/{document_id}.pdf",
    summary="Download a document",
    response_class=Response,
    responses={
        **_PDF,
        **problems(*REFUSALS, Reason.INVALID_REQUEST, Reason.NOT_FOUND, Reason.DOCUMENT_NOT_READY, Reason.UNAVAILABLE),
    },
)
async def get_document(
    document_id: UUID,
    principal: _TheCaller,
    parts: TheParts,
    connections: TheConnections,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Any receipt, invoice or credit note, for the payer of its order and for staff."""
    document, _ = await _visible_document(connections.sessions, document_id, principal)
    return await _file(parts, document, if_none_match)


@router.post(
    "/documents/{document_id}/send",
    status_code=HTTPStatus.ACCEPTED,
    summary="Mail a document once more",
    responses={
        **answer(HTTPStatus.ACCEPTED, "The copy is on its way", _COPY),
        **problems(
            *REFUSALS,
            Reason.INVALID_REQUEST,
            Reason.IDEMPOTENCY_KEY_MISSING,
            Reason.NOT_FOUND,
            Reason.UNAVAILABLE,
        ),
    },
)
async def send_document(
    document_id: UUID,
    idempotency_key: Annotated[str, idempotency_header("the same key mails one copy")],
    principal: _TheCaller,
    connections: TheConnections,
) -> CopyOnItsWay:
    """To the payer of its order, whoever asks; the file is made again if it was lost, byte for byte."""
    document, payer_id = await _visible_document(connections.sessions, document_id, principal)
    copy_id = document_copy_id_for(document.id, principal.subject, idempotency_key)
    attributes: list[SearchAttributePair[Any]] = [
        SearchAttributePair(search.JOB, "document_copy"),
        SearchAttributePair(search.WAITING_FOR, WaitingFor.NOTHING.value),
        SearchAttributePair(search.ORDER_ID, str(document.order_id)),
    ]
    # Mailed before under the same key: nothing to do.
    with contextlib.suppress(WorkflowAlreadyStartedError):
        await connections.temporal.start_workflow(
            DocumentCopyWorkflow.run,
            SendCopy(document_id=document.id, payer_id=payer_id, copy_id=copy_id),
            id=document_copy_workflow_id(copy_id),
            task_queue=REGISTRAR_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            search_attributes=TypedSearchAttributes(attributes),
            static_summary=f"A copy of {document.number}",
            static_details=f"Document `{document.id}` of order `{document.order_id}`.",
        )
    return CopyOnItsWay(copy_id=copy_id, document=document.number)


async def _require_order(sessions: Sessions, order_id: UUID, principal: Principal) -> None:
    if await read_status(sessions, order_id, principal) is None:
        raise ProblemError(Reason.NOT_FOUND, "There is no such order, or it is not yours.")


async def _visible_document(sessions: Sessions, document_id: UUID, principal: Principal) -> tuple[Document, UUID]:
    query = (
        select(Document, col(Order.payer_id))
        .join(Order, col(Order.id) == col(Document.order_id))
        .where(col(Document.id) == document_id)
    )
    if not principal.is_staff:
        query = query.where(col(Order.payer_id) == principal.person_id)
    async with sessions() as session:
        found = (await session.execute(query)).one_or_none()
    if found is None:
        raise ProblemError(Reason.NOT_FOUND, "There is no such document, or it is not yours.")
    return found[0], found[1]


async def _file(parts: Parts, document: Document | None, if_none_match: str | None) -> Response:
    if document is None or document.file_key is None or document.sha256 is None:
        raise ProblemError(Reason.DOCUMENT_NOT_READY, "The document is not written yet.")
    name = f"{document.kind.replace('_', '-')}-{document.number}.pdf"
    try:
        return await file_answer(
            parts.files,
            document.file_key,
            document.sha256,
            media_type="application/pdf",
            disposition=f'attachment; filename="{name}"',
            if_none_match=if_none_match,
        )
    except FileMissingError:
        raise ProblemError(
            Reason.DOCUMENT_NOT_READY, "The file is missing; have a copy sent, which makes it again."
        ) from None
