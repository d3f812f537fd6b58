"""Links to the files of exports: signed, for whoever they were made for, good for a day, and no login.

A link is no right of its own. Whoever follows it has the file only while they may have the export (`may_still_have`).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.signed_links import LinkInvalidError, read_link, sign_link
from models.tables import Export, ReportRecipient, RoleGrant
from models.vocabulary import ExportReport, Role
from rules.exports import REPORTS

VALID_FOR = timedelta(hours=24)
_PURPOSE = "export"
_RECIPIENT = "recipient"


@dataclass(frozen=True)
class ExportLink:
    """What a link says: which export, and for whom. `bearer` is an actor, e.g. `staff:<id>` or `recipient:<id>`."""

    export_id: UUID
    bearer: str


def recipient(person_id: UUID) -> str:
    """The bearer of a link in the mail with a report that a schedule makes."""
    return f"{_RECIPIENT}:{person_id}"


def link_token(secret: str, link: ExportLink, expires_at: datetime) -> str:
    """The token that leads to the file until `expires_at` (UTC)."""
    claims = {"sub": str(link.export_id), "for": link.bearer}
    return sign_link(secret, _PURPOSE, claims, expires_at)


def read_link_token(secret: str, token: str, moment: datetime) -> ExportLink:
    """What the token says. Raises `LinkInvalidError` and `LinkExpiredError`."""
    export_id, bearer = read_link(secret, _PURPOSE, token, ("sub", "for"), moment)
    try:
        return ExportLink(UUID(str(export_id)), str(bearer))
    except ValueError:
        raise LinkInvalidError from None


def download_address(public_url: str, token: str) -> str:
    """Where the file is to be had."""
    return f"{public_url.rstrip('/')}/v1/exports/download/{token}"


def link_expiry(export: Export, moment: datetime) -> datetime:
    """Until when a link is good that is made at `moment`: a day, or until its file is deleted."""
    return moment + VALID_FOR if export.expires_at is None else min(moment + VALID_FOR, export.expires_at)


async def may_still_have(session: AsyncSession, export: Export, bearer: str) -> bool:
    """Whether the bearer of a link may have the export now, as far as the record knows.

    Who is sent a report has to be on its list still. A caller's role has to be one that may have the report, and the
    record must not know that it was taken from them; roles that the identity provider alone knows end with the link.
    """
    kind, _, subject = bearer.partition(":")
    person_id = _person(subject)
    report = ExportReport(export.report)
    if kind == _RECIPIENT:
        listed = exists().where(col(ReportRecipient.report) == report, col(ReportRecipient.person_id) == person_id)
        return person_id is not None and bool(await session.scalar(select(listed)))
    if kind not in REPORTS[report].roles:
        return False
    return person_id is None or not await _was_revoked(session, person_id, Role(kind))


async def _was_revoked(session: AsyncSession, person_id: UUID, role: Role) -> bool:
    grants = select(col(RoleGrant.revoked_at)).where(col(RoleGrant.person_id) == person_id, col(RoleGrant.role) == role)
    revoked = (await session.scalars(grants)).all()
    return bool(revoked) and all(moment is not None for moment in revoked)


def _person(subject: str) -> UUID | None:
    try:
        return UUID(subject)
    except ValueError:
        return None
