"""The files of exports: downloaded with a token, or by a link that is signed, and is no right of its own."""

from http import HTTPStatus
from uuid import UUID

from fastapi import APIRouter, Request, Response

from activities.export_files import MEDIA_TYPES, file_name, stored_file, write_download
from activities.export_links import (
    ExportLink,
    download_address,
    link_expiry,
    link_token,
    may_still_have,
    read_link_token,
)
from activities.files import FileMissingError
from activities.signed_links import LinkExpiredError, LinkInvalidError
from models.errors import Reason
from models.messages.documents import StoredFile
from models.tables import Export
from models.tables.columns import now
from models.vocabulary import ExportFormat, ExportReport, ExportStatus
from routes.authentication import AuthenticatedRoute
from routes.documentation import answer, either, problems
from routes.export_views import LINK, ExportLinkView
from routes.exports import USUAL, ByStaff, visible_export
from routes.pages import refusal_page, refusal_pages
from routes.parts import Connections, Parts, TheConnections, TheParts
from routes.problems import ProblemError
from routes.stored_files import IfNoneMatch, file_answers, streamed_answer
from routes.tokens import Principal
from rules.exports import REPORTS

router = APIRouter(prefix="/v1/exports", tags=["exports"], route_class=AuthenticatedRoute)
links = APIRouter(prefix="/v1/exports", tags=["pages"])

_FILE = file_answers("The file", MEDIA_TYPES.values(), "PK…")


@router.post(
    "/{export_id}/link",
    summary="Make a link to the file of an export",
    responses={
        **answer(HTTPStatus.OK, "The link", LINK),
        **problems(*USUAL, Reason.DOCUMENT_NOT_READY, Reason.EXPORT_EXPIRED),
    },
)
async def post_export_link(
    export_id: UUID, principal: ByStaff, parts: TheParts, connections: TheConnections
) -> ExportLinkView:
    """For a browser of the caller's own, for 24 hours. Whether they may have the file is looked up again when it is
    followed."""
    export = await visible_export(connections.sessions, export_id, principal)
    _require_file(export)
    secret = parts.settings.link_secret
    if secret is None:
        raise ProblemError(Reason.UNAVAILABLE, "Links need the setting LINK_SECRET; the file is at `/file`.")
    expires_at = link_expiry(export, now())
    token = link_token(secret.get_secret_value(), ExportLink(export_id, _bearer(export, principal)), expires_at)
    return ExportLinkView(url=download_address(parts.settings.public_url, token), expires_at=expires_at)


@router.get(
    "/{export_id}/file",
    summary="Download the file of an export",
    response_class=Response,
    responses={**_FILE, **problems(*USUAL, Reason.DOCUMENT_NOT_READY, Reason.EXPORT_EXPIRED)},
)
async def get_export_file(
    export_id: UUID,
    principal: ByStaff,
    parts: TheParts,
    connections: TheConnections,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Written down each time. It comes in pieces; one that was changed in the store breaks off before its end."""
    export = await visible_export(connections.sessions, export_id, principal)
    return await _download(parts, connections, export, principal.actor, "downloaded", if_none_match)


@links.get(
    "/download/{token}",
    summary="Download the file of an export by a link",
    response_class=Response,
    responses={
        **_FILE,
        **either(
            refusal_pages(Reason.LINK_INVALID, Reason.LINK_EXPIRED),
            problems(Reason.INVALID_REQUEST, Reason.DOCUMENT_NOT_READY, Reason.UNAVAILABLE),
        ),
    },
)
async def download_export(
    token: str, request: Request, parts: TheParts, connections: TheConnections, if_none_match: IfNoneMatch = None
) -> Response:
    """No login. The file is for whoever the link was made for, if they may still have it."""
    linked = await _linked(parts, connections, token)
    if isinstance(linked, Reason):
        return refusal_page(request, linked)
    export, bearer = linked
    return await _download(parts, connections, export, bearer, "downloaded by link", if_none_match)


async def _linked(parts: Parts, connections: Connections, token: str) -> tuple[Export, str] | Reason:
    """The export that the token leads to, and for whom; or why it leads nowhere."""
    secret = parts.settings.link_secret
    if secret is None:
        return Reason.LINK_INVALID
    try:
        link = read_link_token(secret.get_secret_value(), token, now())
    except LinkExpiredError:
        return Reason.LINK_EXPIRED
    except LinkInvalidError:
        return Reason.LINK_INVALID
    async with connections.sessions() as session:
        export = await session.get(Export, link.export_id)
        if export is None or not await may_still_have(session, export, link.bearer):
            return Reason.LINK_INVALID
    if _is_expired(export):
        return Reason.LINK_EXPIRED
    return Reason.LINK_INVALID if stored_file(export) is None else (export, link.bearer)


async def _download(
    parts: Parts, connections: Connections, export: Export, actor: str, how: str, if_none_match: str | None
) -> Response:
    """The file in pieces, and that it was taken. Raises `ProblemError` if it is not there."""
    try:
        response = await streamed_answer(
            parts.files,
            _require_file(export),
            media_type=MEDIA_TYPES[ExportFormat(export.format)],
            disposition=f'attachment; filename="{file_name(export)}"',
            if_none_match=if_none_match,
        )
    except FileMissingError:
        raise ProblemError(Reason.DOCUMENT_NOT_READY, "The file is not in the store.") from None
    if response.status_code == HTTPStatus.OK:
        async with connections.sessions.begin() as session:
            await write_download(session, export, actor, how)
    return response


def _require_file(export: Export) -> StoredFile:
    """The file. Raises `ProblemError` if there is none, not yet or not any more."""
    if _is_expired(export):
        raise ProblemError(Reason.EXPORT_EXPIRED, "The file was deleted; ask for another one.")
    file = stored_file(export)
    if export.status == ExportStatus.RUNNING:
        raise ProblemError(Reason.DOCUMENT_NOT_READY, "The file is still being written.")
    if file is None:
        raise ProblemError(Reason.NOT_FOUND, f"There is no file: the export is {export.status}.")
    return file


def _is_expired(export: Export) -> bool:
    """Whether its time is over, whether or not the file is deleted yet."""
    is_over = export.expires_at is not None and export.expires_at <= now()
    return export.status == ExportStatus.EXPIRED or is_over


def _bearer(export: Export, principal: Principal) -> str:
    """Whom the link is for, in the role by which they may have the report."""
    roles = REPORTS[ExportReport(export.report)].roles & principal.roles
    role = principal.role if principal.role in roles else min(roles)
    return f"{role}:{principal.subject}"
