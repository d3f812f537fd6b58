"""The mail as it travels: headers, both bodies, attachments."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.headerregistry import Address, BaseHeader, HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage
from email.policy import SMTP, Policy
from uuid import UUID

from activities.mail_rendering import RenderedMail
from activities.one_line import one_line
from models.vocabulary import MailList

# What HTML forms accept as an address; anything stranger is not deliverable in practice.
_ADDRESS = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
)
_LONGEST_ADDRESS = 254


_STRUCTURE = re.compile(r"""=\?|[,;:<>@()\[\]"\\]""")
_LONGEST_NAME = 60


class InvalidAddressError(ValueError):
    """Nothing can be delivered to (or from) the address. The text does not hold it."""

    def __init__(self) -> None:
        super().__init__("not an address that mail can be delivered to")


@dataclass(frozen=True)
class Attachment:
    """A file that travels with a mail: a PDF unless said otherwise. `parameters` are those of the media type."""

    name: str
    data: bytes
    media_type: str = "application/pdf"
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Mailing:
    """The kind of marketing mail that a mail belongs to, and where its recipient leaves it with one POST (RFC 8058)."""

    list: MailList
    unsubscribe_url: str = field(repr=False)


class _Unfolded(UnstructuredHeader, BaseHeader):
    """A header in one line, however long: folding would break an address into encoded words that no client reads."""

    def fold(self, *, policy: Policy) -> str:
        return f"{self.name}: {self}{policy.linesep}"


def _list_headers() -> HeaderRegistry:
    headers = HeaderRegistry()
    for name in ("list-unsubscribe", "list-unsubscribe-post", "list-id"):
        headers.map_to_type(name, _Unfolded)
    return headers


_MARKETING = SMTP.clone(header_factory=_list_headers())


def mailbox(name: str, address: str) -> Address:
    """A name with its address, fit for a header: the name in one line, an international domain in its ASCII form.

    Raises `InvalidAddressError`; also for letters before the @ that are not ASCII, which few servers accept.
    """
    local, _, domain = address.rpartition("@")
    try:
        plain = f"{local}@{domain.encode('idna').decode('ascii')}"
    except UnicodeError:
        raise InvalidAddressError from None
    if len(plain) > _LONGEST_ADDRESS or not _ADDRESS.fullmatch(plain):
        raise InvalidAddressError
    # Folding a header may drop the quotes around such a name, and then it would read as addresses.
    words = _STRUCTURE.sub(" ", one_line(name)).split()
    return Address(display_name=" ".join(words)[:_LONGEST_NAME].strip(), addr_spec=plain)


def compose(
    rendered: RenderedMail,
    *,
    mail_id: UUID,
    domain: str,
    sender: Address,
    recipient: Address,
    moment: datetime,
    attachments: Sequence[Attachment] = (),
    mailing: Mailing | None = None,
) -> bytes:
    """The message in the form that SMTP carries. The Message-ID is always the same for the same mail.

    A mail of a list says how to leave it; a transactional one belongs to none.
    """
    message = EmailMessage(policy=SMTP if mailing is None else _MARKETING)
    message["From"] = sender
    message["To"] = recipient
    # The library reads encoded words (RFC 2047) in what it is given, ends of lines among them.
    message["Subject"] = one_line(rendered.subject).replace("=?", "= ?")
    message["Date"] = moment
    message["Message-ID"] = f"<{mail_id}@{domain}>"
    # Out-of-office assistants answer people, not programs.
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    if mailing is not None:
        message["List-Id"] = f"<{mailing.list}.{domain}>"
        message["List-Unsubscribe"] = f"<{mailing.unsubscribe_url}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content(rendered.text, cte="quoted-printable")
    message.add_alternative(rendered.html, subtype="html", cte="quoted-printable")
    for attachment in attachments:
        main, _, sub = attachment.media_type.partition("/")
        message.add_attachment(
            attachment.data, maintype=main, subtype=sub, params=attachment.parameters, filename=attachment.name
        )
    # Last: bodies take headers named Content-* with them into their part.
    message["Content-Language"] = rendered.language
    return message.as_bytes()
