"""A mail server for one machine: takes every mail, keeps it in a Maildir, and shows it on a small web page.

`python -m sandbox.mailbox --smtp-port 0 --http-port 0 --maildir DIR`
"""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Annotated

import typer
import uvicorn
from aiosmtpd.smtp import SMTP, Envelope, Session

from sandbox.guest_server import GuestServer
from sandbox.mail_faults import Fault, Faults
from sandbox.mailbox_pages import application
from sandbox.maildir import Maildir, StoredMail
from sandbox.ports import listen_exactly_on

__all__ = ["Fault", "Faults", "Mailbox"]

_HOST_NAME = "mailbox.registrar.test"
_LARGEST_MAIL = 32 * 1024 * 1024
_STOP_SECONDS = 1


class Mailbox:
    """The mailbox of a running server, and the switches that make it fail."""

    def __init__(self, maildir: Path, smtp_port: int, http_port: int) -> None:
        self.maildir, self.smtp_port, self.http_port = maildir, smtp_port, http_port
        self.faults = Faults()
        self._store = Maildir(maildir)
        self._doors: asyncio.Server | None = None
        self._shut: socket.socket | None = None

    @property
    def smtp_url(self) -> str:
        """Where to send mail to."""
        return f"smtp://127.0.0.1:{self.smtp_port}"

    @property
    def http_url(self) -> str:
        """Where to read it."""
        return f"http://127.0.0.1:{self.http_port}"

    def mails(self) -> list[StoredMail]:
        """All mails, the newest first."""
        return self._store.mails()

    def messages(self) -> list[EmailMessage]:
        """The messages alone, the newest first."""
        return [mail.message for mail in self.mails()]

    def mail(self, key: str) -> StoredMail | None:
        """One mail by its key."""
        return self._store.mail(key)

    def clear(self) -> None:
        """Throw all mails away and mend all faults."""
        self.faults.clear()
        self._store.clear()

    async def shut(self) -> None:
        """Refuse every connection, as a server that is not running does, until `reopen`."""
        if self._doors is not None:
            self._doors.close()
            self._doors = None
            # Bound, but not listened on: connections are refused, and nobody else gets the port.
            self._shut = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self._shut.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._shut.bind(("127.0.0.1", self.smtp_port))

    async def reopen(self) -> None:
        """Accept connections again."""
        if self._shut is not None:
            self._shut.close()
            self._shut = None
            await self._open(listen_exactly_on(self.smtp_port))

    @classmethod
    @asynccontextmanager
    async def serve(cls, maildir: Path, *, smtp_port: int = 0, http_port: int = 0) -> AsyncIterator["Mailbox"]:
        """Both servers, until the context is left. Port 0 is any; raises `OSError` where another one is taken."""
        smtp_socket = listen_exactly_on(smtp_port)
        try:
            http_socket = listen_exactly_on(http_port)
        except OSError:
            smtp_socket.close()
            raise
        box = cls(maildir, smtp_socket.getsockname()[1], http_socket.getsockname()[1])
        await box._open(smtp_socket)
        pages = GuestServer(
            uvicorn.Config(
                application(box),
                log_config=None,
                access_log=False,
                lifespan="off",
                timeout_graceful_shutdown=_STOP_SECONDS,
            )
        )
        serving = asyncio.create_task(pages.serve(sockets=[http_socket]))
        try:
            yield box
        finally:
            pages.stop()
            await serving
            box._close()

    async def _open(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self._doors = await loop.create_server(lambda: _Conversation(self, loop), sock=listener)

    def _close(self) -> None:
        for open_port in (self._doors, self._shut):
            if open_port is not None:
                open_port.close()

    async def handle_RCPT(  # noqa: N802 - aiosmtpd calls it by this name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Answer RCPT TO; called by aiosmtpd."""
        if (fault := self.faults.striking("reject_recipient", [address])) is not None:
            return fault.reply
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Answer the end of the mail; called by aiosmtpd."""
        to = envelope.rcpt_tos
        if (fault := self.faults.striking("delay", to)) is not None:
            await asyncio.sleep(fault.seconds)
        if (fault := self.faults.striking("reject_data", to)) is not None:
            return fault.reply
        if self.faults.striking("drop_before_storing", to) is not None:
            return _drop(server)
        await asyncio.to_thread(self._store.add, _as_delivered(envelope))
        if self.faults.striking("drop_after_storing", to) is not None:
            return _drop(server)
        return "250 2.0.0 OK, it is in the mailbox"


class _Conversation(SMTP):
    """One connection of a sender."""

    def __init__(self, box: Mailbox, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            box, hostname=_HOST_NAME, ident="Registrar mailbox", enable_SMTPUTF8=True, loop=loop,
            data_size_limit=_LARGEST_MAIL,
        )  # fmt: skip
        self._box = box

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet, unless told to refuse."""
        if self._box.faults.striking("refuse_connection", []) is not None and isinstance(transport, asyncio.Transport):
            transport.abort()
            return
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Clean up, if there is anything."""
        if self.session is not None:
            super().connection_lost(error)

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802 - aiosmtpd calls it by this name
        """Take the content."""
        to = self.envelope.rcpt_tos if self.envelope is not None else []
        if to and self._box.faults.striking("drop_before_data", to) is not None:
            _drop(self)
            return
        await super().smtp_DATA(arg)


def _drop(server: SMTP) -> str:
    if isinstance(server.transport, asyncio.Transport):
        server.transport.abort()
    return "421 4.4.2 Lost"


def _as_delivered(envelope: Envelope) -> bytes:
    """The mail with what only the envelope knows on top, as any mail server adds it: sender and true recipients."""
    content = envelope.content if isinstance(envelope.content, bytes) else (envelope.content or "").encode()
    added = f"Return-Path: <{envelope.mail_from or ''}>\r\n"
    added += "".join(f"Delivered-To: {address}\r\n" for address in envelope.rcpt_tos)
    return added.encode() + content


def main(maildir: Annotated[Path, typer.Option()], smtp_port: int = 1025, http_port: int = 8025) -> None:
    """Run a mailbox until SIGTERM or Ctrl-C. Port 0 takes any free one; the first line printed tells which."""

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
