"""Every invariant of `make chaos` can be broken: a sound record is broken in each way, and the sentence is seen."""

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from activities.database import Sessions
from activities.orders import OrderActivities
from chaos.invariants import CHECKS, MAILBOX_CHECKS, by_invariant
from chaos.outside import Outside, lay_beside
from tests.integration.broken_records import BREAKS, Step
from tests.integration.sound_record import write_sound_record

ALL = {**CHECKS, **MAILBOX_CHECKS}
# A replica neither asks for what a row refers to nor minds that history is rewritten; and a bug that gets past the
# constraints has to be seen as well.
_NOTHING_IN_THE_WAY = (
    "SET LOCAL session_replication_role = replica",
    """DO $$ DECLARE each record; BEGIN
        FOR each IN SELECT conrelid::regclass AS its, conname FROM pg_constraint
            WHERE connamespace = 'public'::regnamespace AND contype IN ('c', 'u')
        LOOP EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I CASCADE', each.its, each.conname); END LOOP;
        FOR each IN SELECT indexrelid::regclass AS its FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
            WHERE indisunique AND NOT indisprimary AND relnamespace = 'public'::regnamespace
        LOOP EXECUTE format('DROP INDEX %s', each.its); END LOOP;
    END $$""",
)


@pytest.fixture
async def outside(sessions: Sessions, orders: OrderActivities) -> Outside:
    return await write_sound_record(sessions, orders)


async def test_nothing_is_wrong_with_a_sound_record(sessions: Sessions, outside: Outside) -> None:
    assert {name: found for name, found in (await by_invariant(sessions, outside)).items() if found} == {}


async def test_each_invariant_can_be_broken(sessions: Sessions, outside: Outside) -> None:
    unseen = []
    async with sessions() as session:
        await lay_beside(session, outside)
        for statement in _NOTHING_IN_THE_WAY:
            await session.execute(text(statement))
        for name, check in ALL.items():
            steps = BREAKS.get(name)
            assert steps, f"Nobody has shown that {name!r} can fail: break a sound record for it in broken_records.py."
            savepoint = await session.begin_nested()
            for step in steps:
                await _do(session, step)
            sentences = [sentence for _, sentence in await check(session)]
            await savepoint.rollback()
            assert all(sentence.endswith(".") for sentence in sentences), sentences
            if not sentences:
                unseen.append(name)
        await session.rollback()
    assert unseen == [], "the record was broken, and nobody has seen it"
    assert BREAKS.keys() <= ALL.keys(), f"no invariant is called {sorted(BREAKS.keys() - ALL.keys())}"


async def test_what_was_ended_on_purpose_may_lie_still_once_it_is_on_a_desk(
    sessions: Sessions, outside: Outside
) -> None:
    async with sessions() as session:
        job = str(
            await session.scalar(text("SELECT 'order-' || id FROM orders WHERE status = 'pending_payment' LIMIT 1"))
        )
    for row in outside.jobs:
        if row["workflow_id"] == job:
            row |= {"status": "terminated", "is_open": False, "on_purpose": True}  # type: ignore[operator]
    [sentence] = [each for found in (await by_invariant(sessions, outside)).values() for each in found]
    assert job[-36:] in sentence
    async with sessions.begin() as session:
        await session.execute(
            text(
                "INSERT INTO findings (id, created_at, updated_at, opened_at, found_by, kind, status, subject_kind,"
                " subject_id, job_id, reason, times) VALUES (gen_random_uuid(), now(), now(), now(), 'stuck_jobs',"
                " 'job_broken', 'open', 'job', :subject, :job, 'It broke.', 1)"
            ),
            {"subject": job[-36:], "job": job},
        )
    assert not any((await by_invariant(sessions, outside)).values())


async def _do(session: AsyncSession, step: Step) -> None:
    if isinstance(step, str):
        await session.execute(text(step))
    else:
        await session.execute(type(step).__table__.insert().values(step.model_dump()))  # type: ignore[attr-defined]
