"""Mails in a Maildir, read as a person or a test wants to see them."""

import base64
import email
import mailbox
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage, MIMEPart
from email.policy import default
from email.utils import parsedate_to_datetime
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, TypeAlias

Json: TypeAlias = dict[str, object]

_ARRIVAL = re.compile(r"(\d+)\.M(\d+)P\d+(?:Q(\d+))?")
_CONTENT_ID = re.compile(r"cid:([^\s\"'>)]+)", re.IGNORECASE)
_HEAD = re.compile(r"<head[^>]*>", re.IGNORECASE)


class Attachment(NamedTuple):
    """One file that came with a mail."""

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True)
class StoredMail:
    """One mail in the Maildir."""

    key: str
    message: EmailMessage

    @property
    def arrival(self) -> tuple[int, int, int]:
        """Orders mails by when they arrived; the name of a Maildir file tells, but not as text."""
        found = _ARRIVAL.match(self.key)
        return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else (0, 0, 0)

    @property
    def arrived(self) -> datetime:
        """When it arrived."""
        seconds, micros, _ = self.arrival
        return datetime.fromtimestamp(seconds, UTC).replace(microsecond=micros)

    @property
    def date(self) -> datetime:
        """When it was sent, by its own account; else when it arrived."""
        try:
            return parsedate_to_datetime(str(self.message["Date"]))
        except ValueError:
            return self.arrived

    @property
    def subject(self) -> str:
        """The subject, or words for its absence."""
        return self.header("Subject") or "(no subject)"

    def header(self, name: str) -> str:
        """A header's value, empty when absent."""
        return str(self.message[name] or "")

    @cached_property
    def text(self) -> str | None:
        """The plain text part."""
        return self.part("plain")

    @cached_property
    def html(self) -> str | None:
        """The HTML part, with pictures that are attached to it put into their places and links leaving the frame."""
        source = self.part("html")
        if source is None:
            return None
        inline = {str(part["Content-ID"]).strip("<> "): part for part in self.message.walk() if part["Content-ID"]}
        shown = _CONTENT_ID.sub(lambda found: _data_url(inline.get(found[1])) or found[0], source)
        return _HEAD.sub(lambda found: f'{found[0]}<base target="_blank">', shown, count=1)

    @cached_property
    def attachments(self) -> list[Attachment]:
        """The attached files."""
        return [
            Attachment(part.get_filename() or f"part-{number}", part.get_content_type(), _content(part))
            for number, part in enumerate(self.message.iter_attachments(), start=1)
            if not part["Content-ID"] or part.get_content_disposition() == "attachment"
        ]

    def as_json(self) -> Json:
        """The mail without the contents of its attachments."""
        names = ("Message-ID", "Date", "From", "To", "Subject")
        return {
            "key": self.key,
            "arrived": self.arrived.isoformat(),
            "envelope_from": self.header("Return-Path").strip("<>"),
            "envelope_to": [str(value) for value in self.message.get_all("Delivered-To", [])],
            "headers": {name: self.header(name) for name in names},
            "text": self.text,
            "attachments": [
                {"name": each.name, "media_type": each.media_type, "size": len(each.content)}
                for each in self.attachments
            ],
        }

    def as_complete_json(self) -> Json:
        """The mail with its HTML part and every header, in their order."""
        return self.as_json() | {"html": self.html, "all_headers": [[n, str(v)] for n, v in self.message.items()]}

    def part(self, subtype: str) -> str | None:
        """The `plain` or `html` part as it was sent."""
        body = self.message.get_body((subtype,))
        return None if body is None else str(body.get_content())


class Maildir:
    """The mails of one folder. What was read once is remembered, since a stored mail never changes."""

    def __init__(self, folder: Path) -> None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        self._folder = mailbox.Maildir(folder, create=True)
        self._read: dict[str, StoredMail] = {}

    def add(self, content: bytes) -> str:
        """Keep a mail; returns its key."""
        return self._folder.add(content)

    def mails(self) -> list[StoredMail]:
        """All mails, the newest first."""
        keys = set(self._folder.keys())
        self._read = {key: mail for key, mail in self._read.items() if key in keys}
        found = [mail for key in keys if (mail := self.mail(key)) is not None]
        return sorted(found, key=lambda mail: mail.arrival, reverse=True)

    def mail(self, key: str) -> StoredMail | None:
        """One mail by its key."""
        if key not in self._read:
            try:
                raw = self._folder.get_bytes(key)
            except KeyError:
                return None
            self._read[key] = StoredMail(key, email.message_from_bytes(raw, EmailMessage, policy=default))
        return self._read[key]

    def clear(self) -> None:
        """Throw all mails away."""
        self._folder.clear()
        self._read.clear()


def _content(part: MIMEPart) -> bytes:
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else bytes(part)


def _data_url(part: MIMEPart | None) -> str | None:
    if part is None:
        return None
    return f"data:{part.get_content_type()};base64,{base64.b64encode(_content(part)).decode()}"
