"""Who wants marketing mail: a no counts at once and for good, a yes is proven, and each is written down once."""

import asyncio

import pytest
from sqlalchemy import select
from sqlmodel import col

from activities.database import Sessions
from activities.orders import OrderActivities
from activities.subscriptions import complain, standing_of, subscribe, token_of, unsubscribe, withdraw
from models.identifiers import new_id
from models.tables import Consent, Mail, Subscription
from models.tables.columns import now
from models.vocabulary import ConsentSource, MailList, MailStatus, MailTemplate
from rules.marketing import Standing
from tests.integration.order_steps import LUKASZ, enroll

pytestmark = pytest.mark.usefixtures("unasked")
NOTHING = Standing(consented=False, withdrawn=False, complained=False, bounced=False, is_customer=False)


async def says_yes(sessions: Sessions, source: ConsentSource = ConsentSource.CHECKOUT) -> Subscription:
    async with sessions.begin() as session:
        return await subscribe(session, LUKASZ, MailList.CART, source=source, actor="student:1", text_version="2026-06")


async def says_no(sessions: Sessions, token: str, source: ConsentSource = ConsentSource.ONE_CLICK) -> bool:
    async with sessions.begin() as session:
        return await unsubscribe(session, token, source=source) is not None


async def standing(sessions: Sessions, list_: MailList = MailList.CART) -> Standing:
    async with sessions() as session:
        return await standing_of(session, LUKASZ, list_)


async def consents(sessions: Sessions) -> list[tuple[str, bool, str, str | None]]:
    async with sessions() as session:
        rows = (await session.execute(select(Consent).order_by(col(Consent.id)))).scalars()
        return [(row.list, row.is_given, row.source, row.text_version) for row in rows]


async def test_a_yes_and_a_no_are_proven(sessions: Sessions) -> None:
    assert await standing(sessions) == NOTHING
    said = await says_yes(sessions)
    assert (await says_yes(sessions)).consented_at == said.consented_at
    assert (await standing(sessions)).consented
    assert not (await standing(sessions, MailList.LEARNING)).consented
    assert await says_no(sessions, said.token)
    assert await says_no(sessions, said.token, ConsentSource.UNSUBSCRIBE_PAGE)
    no = await standing(sessions)
    assert (no.consented, no.withdrawn) == (False, True)
    again = await says_yes(sessions, ConsentSource.ACCOUNT)
    assert again.token == said.token
    assert await consents(sessions) == [
        ("cart", True, "checkout", "2026-06"),
        ("cart", False, "one_click", None),
        ("cart", True, "account", "2026-06"),
    ]


async def test_a_token_is_random_and_stays_and_nobody_elses_unsubscribes(sessions: Sessions) -> None:
    async def token(list_: MailList) -> str:
        async with sessions.begin() as session:
            return await token_of(session, LUKASZ, list_)

    tokens = await asyncio.gather(*(token(list_) for list_ in list(MailList) * 4))
    assert len(set(tokens)) == len(MailList)
    assert all(len(each) == 43 for each in tokens)
    assert not await says_no(sessions, tokens[0][:-1] + "-")
    assert await consents(sessions) == []


async def test_an_import_never_undoes_a_no(sessions: Sessions) -> None:
    said = await says_yes(sessions, ConsentSource.IMPORT)
    assert await says_no(sessions, said.token)
    assert (await says_yes(sessions, ConsentSource.IMPORT)).withdrawn_at is not None
    assert len(await consents(sessions)) == 2


async def test_a_complaint_is_a_no_to_everything(sessions: Sessions) -> None:
    await says_yes(sessions)
    for _ in range(2):
        async with sessions.begin() as session:
            assert len(await complain(session, LUKASZ, actor="service:esp")) == len(MailList)
    for list_ in MailList:
        said = await standing(sessions, list_)
        assert (said.consented, said.complained) == (False, True)
    assert sorted(await consents(sessions))[0] == ("announcements", False, "complaint", None)
    assert len(await consents(sessions)) == 1 + len(MailList)
    assert (await says_yes(sessions)).complained_at is None


async def test_a_no_of_staff_and_at_once_by_many_is_written_once(sessions: Sessions) -> None:
    async def no() -> None:
        async with sessions.begin() as session:
            await withdraw(session, LUKASZ, MailList.CART, source=ConsentSource.STAFF, actor="staff:1")

    await asyncio.gather(*(no() for _ in range(8)))
    assert await consents(sessions) == [("cart", False, "staff", None)]
    async with sessions() as session:
        assert await session.get(Subscription, (LUKASZ, MailList.LEARNING)) is None


async def test_what_is_known_of_customers_and_addresses(sessions: Sessions, orders: OrderActivities) -> None:
    await enroll(sessions, orders, "photography")
    assert (await standing(sessions)).is_customer

    async def mail(status: MailStatus) -> None:
        async with sessions.begin() as session:
            session.add(
                Mail(
                    recipient_id=LUKASZ, template=MailTemplate.ORDER_CONFIRMATION, subject_id=new_id(), status=status,
                    workflow_id="w", sent_at=now() if status is MailStatus.SENT else None,
                )
            )  # fmt: skip

    await mail(MailStatus.BOUNCED)
    assert (await standing(sessions)).bounced
    await mail(MailStatus.SENT)
    assert not (await standing(sessions)).bounced
