"""The link of the mail with a certificate: signed, for one certificate, good for a while, and no login."""

from datetime import datetime, timedelta
from uuid import UUID

from activities.signed_links import LinkInvalidError, read_link, sign_link

VALID_FOR = timedelta(days=30)
_PURPOSE = "certificate"


def download_token(secret: str, certificate_id: UUID, moment: datetime) -> str:
    """The token that leads to the PDF, for 30 days from `moment`."""
    return sign_link(secret, _PURPOSE, {"sub": str(certificate_id)}, moment + VALID_FOR)


def read_download_token(secret: str, token: str, moment: datetime) -> UUID:
    """Whose PDF the token leads to. Raises `LinkInvalidError` and `LinkExpiredError`."""
    (certificate_id,) = read_link(secret, _PURPOSE, token, ("sub",), moment)
    try:
        return UUID(str(certificate_id))
    except ValueError:
        raise LinkInvalidError from None


def download_address(public_url: str, token: str) -> str:
    """Where the PDF is to be had."""
    return f"{public_url.rstrip('/')}/v1/certificates/download/{token}"
