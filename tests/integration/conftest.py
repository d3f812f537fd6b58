"""What the tests of the record share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import delete

from activities.database import Sessions
from activities.files import FileStore
from activities.mail import MailActivities, SmtpSettings
from activities.orders import OrderActivities
from models.tables import CartSettings, Consent, Subscription
from sandbox.mailbox import Mailbox
from tests.fresh_record import load_academy


@pytest.fixture
async def orders(sessions: Sessions) -> OrderActivities:
    """The steps of orders, in a fresh sample academy."""
    await load_academy(sessions)
    return OrderActivities(sessions)


@pytest.fixture
async def mailbox(tmp_path: Path) -> AsyncIterator[Mailbox]:
    """A mail server of this test alone."""
    async with Mailbox.serve(tmp_path / "mail") as box:
        yield box


@pytest.fixture
async def unasked(orders: OrderActivities) -> None:
    """Nobody of the sample academy has said anything to marketing mail, and it has set nothing about carts."""
    async with orders.sessions.begin() as session:
        for table in (Consent, Subscription, CartSettings):
            await session.execute(delete(table))


@pytest.fixture
async def mails(orders: OrderActivities, mailbox: Mailbox, tmp_path: Path) -> MailActivities:
    """The steps that send mails, to the mail server of this test."""
    return MailActivities(
        orders.sessions,
        FileStore((tmp_path / "files").as_uri()),
        SmtpSettings.from_url(mailbox.smtp_url, "TutorHub Academy <academy@registrar.test>", "registrar.test"),
        None,
    )
