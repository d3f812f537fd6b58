"""A mail server for one machine: takes every mail, keeps it in a Maildir, and shows it on a small web page.

`python -m sandbox.mailbox --smtp-port 0 --http-port 0 --maildir DIR`
"""

import asyncio
import email
import mailbox
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Annotated

import typer
import uvicorn
from aiosmtpd.smtp import SMTP, Envelope, Session
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from sandbox.ports import listen_on

_PAGES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "mailbox_pages"), autoescape=True, undefined=StrictUndefined
)
# A mail may bring its own styles and inline pictures, nothing else: no script, no request to anywhere.
_MAIL_CSP = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"


@dataclass
class Faults:
    """What goes wrong, and for how many mails still; for tests."""

    reply_to_recipient: str | None = None
    reply_to_data: str | None = None
    drop_after_storing: bool = False
    times: int = 0

    def strikes(self) -> bool:
        """Whether this mail is hit; counts down."""
        if self.times <= 0:
            return False
        self.times -= 1
        return True


@dataclass
class StoredMail:
    """One mail in the Maildir."""

    key: str
    message: EmailMessage

    def part(self, subtype: str) -> str | None:
        """The text of the HTML or plain part."""
        body = self.message.get_body((subtype,))
        return None if body is None else str(body.get_content())

    @property
    def attachments(self) -> list[tuple[str, str, bytes]]:
        """Name, media type and content of each."""
        return [
            (part.get_filename() or "attachment", part.get_content_type(), bytes(part.get_payload(decode=True) or b""))
            for part in self.message.iter_attachments()
        ]


@dataclass
class Mailbox:
    """The mailbox of a running server."""

    maildir: Path
    smtp_port: int
    http_port: int
    faults: Faults = field(default_factory=Faults)

    @property
    def smtp_url(self) -> str:
        return f"smtp://127.0.0.1:{self.smtp_port}"

    @property
    def http_url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    def mails(self) -> list[StoredMail]:
        """All mails, the newest first."""
        return sorted(self._read(), key=lambda mail: mail.key, reverse=True)

    def messages(self) -> list[EmailMessage]:
        """The messages alone, the newest first."""
        return [mail.message for mail in self.mails()]

    def clear(self) -> None:
        """Throw all mails away and mend all faults."""
        self.faults = Faults()
        mailbox.Maildir(self.maildir).clear()

    def mail(self, key: str) -> StoredMail | None:
        """One mail by its key."""
        return next((mail for mail in self._read() if mail.key == key), None)

    def _read(self) -> Iterator[StoredMail]:
        for key in mailbox.Maildir(self.maildir, create=True).keys():
            raw = mailbox.Maildir(self.maildir).get_bytes(key)
            yield StoredMail(key, email.message_from_bytes(raw, EmailMessage, policy=default))

    async def handle_RCPT(  # noqa: N802 - aiosmtpd calls it by this name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.faults.reply_to_recipient and self.faults.strikes():
            return self.faults.reply_to_recipient
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        faults = self.faults
        hit = not faults.reply_to_recipient and faults.strikes()
        if hit and faults.reply_to_data:
            return faults.reply_to_data
        content = envelope.content if isinstance(envelope.content, bytes) else (envelope.content or "").encode()
        await asyncio.to_thread(self._store, content)
        if hit and faults.drop_after_storing and isinstance(server.transport, asyncio.Transport):
            server.transport.abort()
        return "250 OK"

    def _store(self, content: bytes) -> None:
        mailbox.Maildir(self.maildir, create=True).add(content)

    @classmethod
    @asynccontextmanager
    async def serve(
        cls, maildir: Path, *, smtp_port: int | None = None, http_port: int | None = None
    ) -> AsyncIterator["Mailbox"]:
        """Both servers, until the context is left. Free ports are found where none is given or it is taken."""
        smtp_socket, http_socket = listen_on(smtp_port), listen_on(http_port)
        box = cls(maildir, smtp_socket.getsockname()[1], http_socket.getsockname()[1])
        mailbox.Maildir(maildir, create=True)
        loop = asyncio.get_running_loop()
        smtp = await loop.create_server(
            lambda: SMTP(box, hostname="mailbox.registrar.test", enable_SMTPUTF8=True, loop=loop), sock=smtp_socket
        )
        pages = uvicorn.Server(uvicorn.Config(_application(box), log_config=None, lifespan="off"))
        # The process decides about signals, not the page.
        pages.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
        serving = asyncio.create_task(_serve_pages(pages, http_socket))
        try:
            yield box
        finally:
            pages.should_exit = True
            await serving
            smtp.close()
            await smtp.wait_closed()


async def _serve_pages(server: uvicorn.Server, listener: socket.socket) -> None:
    await server._serve([listener])


def _application(box: Mailbox) -> Starlette:
    async def listing(request: Request) -> Response:
        mails = await asyncio.to_thread(box.mails)
        return HTMLResponse(_PAGES.get_template("list.html.j2").render(mails=mails))

    async def as_json(request: Request) -> Response:
        mails = await asyncio.to_thread(box.mails)
        return JSONResponse([_summary(mail) for mail in mails])

    async def one(request: Request) -> Response:
        mail = await _mail_of(request)
        return HTMLResponse(_PAGES.get_template("mail.html.j2").render(mail=mail))

    async def html(request: Request) -> Response:
        mail = await _mail_of(request)
        return HTMLResponse(mail.part("html") or "", headers={"Content-Security-Policy": _MAIL_CSP})

    async def attachment(request: Request) -> Response:
        files = (await _mail_of(request)).attachments
        if not 0 <= (index := request.path_params["index"]) < len(files):
            raise HTTPException(404)
        _, media_type, content = files[index]
        return Response(content, media_type=media_type, headers={"X-Content-Type-Options": "nosniff"})

    async def _mail_of(request: Request) -> StoredMail:
        mail = await asyncio.to_thread(box.mail, request.path_params["key"])
        if mail is None:
            raise HTTPException(404)
        return mail

    return Starlette(
        routes=[
            Route("/", listing),
            Route("/api/messages", as_json),
            Route("/mails/{key}", one),
            Route("/mails/{key}/html", html),
            Route("/mails/{key}/attachments/{index:int}", attachment),
        ]
    )


def _summary(mail: StoredMail) -> dict[str, object]:
    headers = {name: str(mail.message[name]) for name in ("Message-ID", "Date", "From", "To", "Subject")}
    return {
        "key": mail.key,
        "headers": headers,
        "text": mail.part("plain"),
        "attachments": [{"name": name, "media_type": kind, "size": len(data)} for name, kind, data in mail.attachments],
    }


def main(maildir: Annotated[Path, typer.Option()], smtp_port: int = 1025, http_port: int = 8025) -> None:
    """Run until SIGTERM or Ctrl-C."""

    async def run() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with Mailbox.serve(maildir, smtp_port=smtp_port, http_port=http_port) as box:
            print(f"mailbox listening on {box.smtp_url} and {box.http_url}", flush=True)
            await stop.wait()

    asyncio.run(run())


if __name__ == "__main__":
    typer.run(main)
