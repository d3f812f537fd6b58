"""Mails: the confirmation of an order with its receipt, through the ledger to SMTP, beside bare aiosmtplib.

Set, ledgered and sent in this process by the step that workers take; the floor sends a message that has been set
already, over a connection of its own each time, as the step does.
"""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlmodel import col
from temporalio.testing import ActivityEnvironment

from activities.files import FileStore
from activities.mail import MailActivities, SmtpSettings
from bench.figures import Round, Row
from bench.rig import Rig
from bench.sizes import Size
from bench.timing import in_lanes
from bench.turns import Way, take_turns
from models.identifiers import order_workflow_id
from models.messages.mail import SendMail
from models.tables import Mail, Order
from models.vocabulary import MailStatus, MailTemplate, OrderStatus

_LANES = 8
_HERE = "benchmark itself"


class MailNotSentError(Exception):
    """A mail did not go out, or an order could not be mailed about."""


async def measure(rig: Rig, size: Size) -> list[Row]:
    """One row; every mail is another occasion of the ledger."""
    per_round = max(_LANES, size.mails // size.rounds)
    smtp = SmtpSettings.from_url(
        rig.settings.smtp_url.get_secret_value(), rig.settings.mail_from, rig.settings.mail_domain
    )
    order = await _completed_order(rig)
    steps = MailActivities(rig.sessions, FileStore(rig.settings.files_url), smtp, None)

    async def send(_: int) -> None:
        request = SendMail(
            recipient_id=order.payer_id,
            template=MailTemplate.ORDER_CONFIRMATION,
            subject_id=order.id,
            workflow_id=order_workflow_id(order.id),
            occasion=f"benchmark-{uuid4().hex}",
        )
        report = await ActivityEnvironment().run(steps.send_mail, request)
        if report.status is not MailStatus.SENT:
            raise MailNotSentError(f"a mail is {report.status}: {report.reason}")

    # Connections are opened, and templates read, once in a process.
    await in_lanes(range(_LANES), _LANES, send)
    message = await _message_of(rig, order.id)
    recipient = "student@registrar.test"

    async def send_bare(_: int) -> None:
        async with smtp.client() as client:
            await client.sendmail(smtp.sender.addr_spec, recipient, message)

    ways = [
        Way("a confirmation with its receipt", _HERE, _round(per_round, send)),
        Way("bare aiosmtplib, the same message", _HERE, _round(per_round, send_bare)),
    ]
    ours, floor = await take_turns(rig.clock, ways, size.rounds)
    ours = ours.model_copy(update={"notes": (f"{len(message) / 1024:.0f} KiB a mail",)})
    return [Row(name="mails", piece="mail", registrar=ours, floor=floor)]


def _round(pieces: int, action: Callable[[int], Awaitable[None]]) -> Callable[[int], Awaitable[Round]]:
    async def work(_: int) -> Round:
        timing, _done = await in_lanes(range(pieces), _LANES, action)
        return Round.of(timing)

    return work


async def _completed_order(rig: Rig) -> Order:
    """Any that is complete; one is placed and paid if there is none yet."""
    query = select(Order).where(col(Order.status) == OrderStatus.COMPLETED, col(Order.number) != "BENCHMARK").limit(1)
    for _ in range(2):
        async with rig.sessions() as session:
            if (found := (await session.execute(query)).scalars().first()) is not None:
                return found
        [number] = rig.numbers(1)
        await rig.registrar.finish(await rig.registrar.place(number))
    raise MailNotSentError("there is no order to mail about")


async def _message_of(rig: Rig, order_id: UUID) -> bytes:
    """One of the mails about the order, as it arrived."""
    async with rig.sessions() as session:
        query = select(col(Mail.id)).where(col(Mail.subject_id) == order_id, col(Mail.status) == MailStatus.SENT)
        mails = {str(found) for found in (await session.execute(query)).scalars()}
    for file in await asyncio.to_thread(lambda: list(rig.maildir.glob("new/*"))):
        data = await asyncio.to_thread(file.read_bytes)
        if any(mail.encode() in data for mail in mails):
            return data
    raise MailNotSentError("a mail that was sent has not arrived")
