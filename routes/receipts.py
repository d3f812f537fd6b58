"""The receipt of an order as a PDF."""

from hashlib import sha256
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Response

from activities.files import FileMismatchError
from models.errors import Reason
from routes.authentication import REFUSALS, AuthenticatedRoute, require
from routes.documentation import problems
from routes.order_reading import read_receipt, read_status
from routes.parts import TheConnections, TheParts
from routes.problems import ProblemError
from routes.tokens import Principal

router = APIRouter(prefix="/v1/orders", tags=["orders"], route_class=AuthenticatedRoute)


@router.get(
    "/{order_id}/receipt.pdf",
    summary="Download the receipt",
    response_class=Response,
    responses={
        200: {
            "description": "The receipt",
            "content": {"application/pdf": {"schema": {"type": "string", "format": "binary"}, "example": "%PDF-1.4 …"}},
            "headers": {
                "ETag": {"description": "the SHA-256 of the file", "schema": {"type": "string"}},
                "Content-Disposition": {"description": "the file's name", "schema": {"type": "string"}},
            },
        },
        304: {"description": "The file is the one you have"},
        **problems(*REFUSALS, Reason.INVALID_REQUEST, Reason.NOT_FOUND, Reason.RECEIPT_NOT_READY, Reason.UNAVAILABLE),
    },
)
async def get_receipt(
    order_id: UUID,
    principal: Annotated[Principal, Depends(require())],
    parts: TheParts,
    connections: TheConnections,
    if_none_match: Annotated[str | None, Header(description="the ETag of the file you have")] = None,
) -> Response:
    """For the payer and staff, as soon as the order is completed and the file is written."""
    if await read_status(connections.sessions, order_id, principal) is None:
        raise ProblemError(Reason.NOT_FOUND, "There is no such order, or it is not yours.")
    receipt = await read_receipt(connections.sessions, order_id)
    if receipt is None or receipt.file_key is None:
        raise ProblemError(Reason.RECEIPT_NOT_READY, "The receipt follows when the order is paid.")
    headers = {
        "ETag": f'"{receipt.sha256}"',
        "Content-Disposition": f'attachment; filename="receipt-{receipt.number}.pdf"',
    }
    if if_none_match is not None and f'"{receipt.sha256}"' in if_none_match:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    pdf = await parts.files.get(receipt.file_key)
    if sha256(pdf).hexdigest() != receipt.sha256:
        raise FileMismatchError(receipt.file_key)
    return Response(pdf, media_type="application/pdf", headers=headers)
