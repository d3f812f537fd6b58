"""Links to the files of exports: signed, for whoever they were made for, good for a while, and no login."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from activities.signed_links import LinkInvalidError, read_link, sign_link

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
