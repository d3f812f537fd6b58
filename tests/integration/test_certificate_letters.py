"""The letters about certificates, from the record to the mailbox: to their holders, and to nobody else."""

from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.certificate_letters import facts_of_certificate, facts_of_name
from activities.certificate_links import read_download_token
from activities.certificate_templates import AssignedTemplate
from activities.certificates import CertificateActivities
from activities.errand import PublicPages
from activities.files import FileStore
from activities.mail import MailActivities, SmtpSettings
from activities.orders import OrderActivities
from models.tables import Certificate
from models.tables.columns import now
from models.vocabulary import MailStatus, MailTemplate
from sandbox.mailbox import Mailbox
from tests.integration.certified_places import a_place, blank, certify, confirm, issued, revoking, template, the
from tests.integration.letter_steps import arrived, refusal, send, text_of
from tests.integration.order_steps import LUKASZ, person, statements_of

T = MailTemplate
SECRET = "a-secret-that-signs-links-of-thirty-two"


@pytest.fixture
async def mails(orders: OrderActivities, mailbox: Mailbox, tmp_path: Path) -> MailActivities:
    return MailActivities(
        orders.sessions,
        FileStore((tmp_path / "files").as_uri()),
        SmtpSettings.from_url(mailbox.smtp_url, "TutorHub Academy <academy@registrar.test>", "registrar.test"),
        None,
        public_pages=PublicPages("https://academy.test", SECRET),
    )


@pytest.fixture
async def steps(orders: OrderActivities) -> CertificateActivities:
    """The steps of certificates, where Spanish is certified."""
    await blank(orders.sessions)
    await certify(orders.sessions, "spanish-a1", AssignedTemplate(await template(orders.sessions, "letters")))
    return CertificateActivities(orders.sessions)


async def test_its_holder_gets_it_once_it_is_printed_and_nobody_else(
    orders: OrderActivities, mails: MailActivities, mailbox: Mailbox, steps: CertificateActivities, engine: AsyncEngine
) -> None:
    await confirm(orders.sessions, "Łukasz Żółciński")
    certificate_id = await issued(steps, await a_place(orders.sessions, orders), now())
    for stranger in (person("grace"), person("maya")):
        assert await refusal(mails, T.CERTIFICATE_ISSUED, certificate_id, to=stranger) == ("mail_without_subject", True)
    async with mails.sessions.begin() as session:
        await session.execute(update(Certificate).values(file_sha256="0" * 64))
    mail = await arrived(mails, mailbox, T.CERTIFICATE_ISSUED, certificate_id, to=LUKASZ)
    certificate = await the(orders.sessions, certificate_id)
    text = text_of(mail)
    assert "Łukasz Żółciński" in text
    assert str(certificate.number) in text
    assert f"https://academy.test/verify/{certificate.code}" in text
    [link] = [word for word in text.split() if "/download/" in word]
    assert read_download_token(SECRET, link.rpartition("/")[2], now()) == certificate_id
    assert mail.message["To"].addresses[0].addr_spec == "lukasz.zolcinski@students.test"
    async with mails.sessions() as session:
        with statements_of(engine) as sent:
            assert await facts_of_certificate(session, certificate_id, LUKASZ) is not None
        assert len(sent) == 1

    await steps.change_certificate(revoking(certificate_id, now()))
    told = await arrived(mails, mailbox, T.CERTIFICATE_REVOKED, certificate_id, to=LUKASZ, occasion="x")
    assert str(certificate.number) in text_of(told)
    again = await send(mails, T.CERTIFICATE_ISSUED, certificate_id, to=LUKASZ, occasion="copy")
    assert (again.status, again.reason) == (MailStatus.SKIPPED, "revoked")


async def test_a_learner_is_asked_for_their_name_until_they_have_confirmed_it(
    orders: OrderActivities, mails: MailActivities, mailbox: Mailbox, steps: CertificateActivities, engine: AsyncEngine
) -> None:
    place = await a_place(orders.sessions, orders)
    mail = await arrived(mails, mailbox, T.CERTIFICATE_NAME_NEEDED, place, to=LUKASZ, occasion="ask")
    assert "Łukasz Żółciński" in text_of(mail)
    assert await refusal(mails, T.CERTIFICATE_NAME_NEEDED, place, occasion="ask") == ("mail_without_subject", True)
    async with mails.sessions() as session:
        with statements_of(engine) as sent:
            assert await facts_of_name(session, place, LUKASZ) is not None
        assert len(sent) == 1
    await confirm(orders.sessions, "Łukasz Żółciński")
    late = await send(mails, T.CERTIFICATE_NAME_NEEDED, place, to=LUKASZ, occasion="3d")
    assert (late.status, late.reason) == (MailStatus.SKIPPED, "name_confirmed")


async def test_what_does_not_exist_is_no_mail(mails: MailActivities, steps: CertificateActivities) -> None:
    for template_of in (T.CERTIFICATE_ISSUED, T.CERTIFICATE_NAME_NEEDED):
        assert await refusal(mails, template_of, uuid4()) == ("mail_without_subject", True)
