"""The course of the demo, played on a clock of its own: every lesson opens, and its learner is told by day."""

from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.orders import OrderActivities
from models.tables import Enrollment, Person
from models.tables.columns import now
from models.vocabulary import EnrollmentStatus
from rules.drip import OPENS_AT
from rules.marketing import ONE_PER, QUIET_FROM, QUIET_UNTIL
from sandbox.learning_scenes import learned_to_its_end
from sandbox.mailbox import Mailbox
from sandbox.sample_academy import read_academy, sample_id
from sandbox.virtual_time import virtual_time
from settings import Settings
from tests.integration.learning_steps import place_of, set_place
from tests.integration.written_orders import Sold, write_order


async def test_four_weeks_are_learned_to_their_end(
    orders: OrderActivities, engine: AsyncEngine, tmp_path: Path
) -> None:  # fmt: skip
    written = await write_order(orders.sessions, [Sold("portuguese-a1", 6400, student="grace")])
    place = written.place_ids[0]
    await set_place(orders.sessions, place, enrolled_at=now())
    async with Mailbox.serve(tmp_path / "mail") as mailbox:
        settings = _settings(engine.url, mailbox.smtp_url, tmp_path)
        async with virtual_time(settings, place) as time:
            learned = await learned_to_its_end(time)
    lessons = next(each.lessons for each in read_academy().courses if each.code == "portuguese-a1")
    assert {each.title for each in learned.opened} == {each.title for each in lessons if not each.is_preview}
    assert 25 <= learned.days <= 32
    assert all(each.is_done for each in learned.opened)
    assert next(each for each in learned.opened if each.title == "Test of week 1").attempts == 2
    assert (await place_of(orders.sessions, place)).status == EnrollmentStatus.COMPLETED
    async with orders.sessions() as session:
        zone = ZoneInfo((await session.get_one(Person, sample_id("person", "grace"))).time_zone)
        begun_at = (await session.get_one(Enrollment, place)).started_at
    assert begun_at is not None
    assert begun_at - learned.started_at < timedelta(minutes=1)
    after_start = [each for each in learned.opened if each.reason == "after_start"]
    assert after_start
    assert {each.opened_at.astimezone(zone).time() for each in after_start} == {OPENS_AT}
    told = sorted({each.mailed_at for each in learned.opened if each.mailed_at is not None})
    assert len(told) >= 5
    assert all(later - earlier >= ONE_PER for earlier, later in pairwise(told))
    assert all(QUIET_UNTIL <= each.astimezone(zone).time() < QUIET_FROM for each in told)
    for each in learned.opened:
        assert each.mailed_at is None or timedelta() <= each.mailed_at - each.opened_at < timedelta(days=3)


def _settings(database: URL, smtp_url: str, folder: Path) -> Settings:
    return Settings.model_validate(
        {
            "database_url": database.render_as_string(hide_password=False),
            "temporal_address": "127.0.0.1:1",
            "smtp_url": smtp_url,
            "files_url": (folder / "files").as_uri(),
            "stripe_api_key": "sk_test_1",
            "stripe_webhook_secrets": "whsec_1",
            "jwt_secret": "a secret of the tests that is long enough",
        }
    )
