"""Applications on the record: begun once, complete or not sent, answered, ended, and erased to the last word."""

import asyncio
from datetime import date, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from dateutil.relativedelta import relativedelta
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import SQLModel, col

from activities.application_record import APPLICANT_MESSAGE, academy_day, files_of
from activities.database import Sessions
from activities.files import FileMissingError
from activities.task_record import TASK, Remark, write_note
from models.errors import Reason
from models.messages.applications import CheckedApplication
from models.tables import Note, RoleGrant, TutorApplication, TutorProfile
from models.tables.columns import now
from models.vocabulary import (
    ApplicationDocumentKind,
    ApplicationStatus,
    Role,
    TaskAction,
    TutorProfileStatus,
)
from rules.tutor_application import INFO_DUE_AFTER
from tests.integration.order_steps import statements_of
from tests.integration.tutor_applications import (
    BIO,
    CERTIFICATIONS,
    CLOSED,
    DANCE,
    FILE_NAME,
    LINK,
    NOTE,
    QUALIFICATIONS,
    SPANISH,
    World,
    ago,
)

S = ApplicationStatus
IDENTITY, VIDEO = ApplicationDocumentKind.IDENTITY, ApplicationDocumentKind.VIDEO


@pytest.fixture
async def world(sessions: Sessions, tmp_path: Path) -> World:
    return await World.build(sessions, tmp_path)


# ---- beginning ----


async def test_the_draft_is_written_once(world: World) -> None:
    step = world.beginning(await world.person())
    first = await world.steps.begin_application(step)
    assert await world.steps.begin_application(step) == first
    row = await world.row(step.application.application_id)
    assert (row.status, row.created_at, row.workflow_id) == ("draft", first.created_at, step.workflow_id)
    assert await world.audited(row.id) == [(None, "draft", "begun")]
    # The same id is the same application, whatever else is said.
    other = step.model_copy(update={"application": step.application.model_copy(update={"copy_from": uuid4()})})
    assert await world.steps.begin_application(other) == first


async def test_who_may_not_begin(world: World) -> None:
    assert (await world.steps.begin_application(world.beginning(uuid4()))).refusal is Reason.UNKNOWN_PERSON
    somebody = await world.person()
    for source in (uuid4(), await world.draft()):
        refused = await world.steps.begin_application(world.beginning(somebody, source))
        assert refused.refusal is Reason.NOT_FOUND
    await world.draft(somebody)
    assert (await world.steps.begin_application(world.beginning(somebody))).refusal is Reason.APPLICATION_EXISTS
    async with world.sessions() as session:
        count = select(func.count()).select_from(TutorApplication)
        assert (await session.execute(count.where(col(TutorApplication.applicant_id) == somebody))).scalar_one() == 1


@pytest.mark.parametrize("by", ["profile", "role"])
async def test_a_tutor_needs_no_application(world: World, by: str) -> None:
    somebody = await world.person()
    application_id = await world.draft(somebody)
    await world.end(application_id, S.WITHDRAWN)
    made: SQLModel = RoleGrant(person_id=somebody, role=Role.TUTOR, granted_by="system", application_id=application_id)
    if by == "profile":
        made = TutorProfile(
            person_id=somebody, application_id=application_id, status=TutorProfileStatus.APPROVED,
            display_name="", bio="", subjects=[], experience="", certifications="",
        )  # fmt: skip
    async with world.sessions.begin() as session:
        session.add(made)
    assert (await world.steps.begin_application(world.beginning(somebody))).refusal is Reason.ALREADY_TUTOR


async def test_of_twenty_at_once_one_begins(world: World) -> None:
    somebody = await world.person()
    answers = await asyncio.gather(*(world.steps.begin_application(world.beginning(somebody)) for _ in range(20)))
    refusals = [answer.refusal for answer in answers]
    assert refusals.count(None) == 1
    assert refusals.count(Reason.APPLICATION_EXISTS) == 19


async def test_the_same_begun_twenty_times_at_once_is_one(world: World) -> None:
    step = world.beginning(await world.person())
    answers = await asyncio.gather(*(world.steps.begin_application(step) for _ in range(20)))
    assert len({answer.created_at for answer in answers}) == 1
    assert len(await world.audited(step.application.application_id)) == 1


async def test_an_earlier_application_is_taken_over_with_copies_of_its_own(world: World) -> None:
    somebody = await world.person()
    earlier = await world.in_review(somebody)
    video = await world.show(earlier, VIDEO)
    replaced = await world.show(earlier, IDENTITY, replaced_at=now())
    await world.reviewer()
    await world.judge(earlier, video, "admin:chief")
    await world.reviews.record_decision(world.decision(earlier, TaskAction.REJECT_SOFT, S.REJECTED_SOFT))
    step = world.beginning(somebody, earlier)
    first = await world.steps.begin_application(step)
    assert await world.steps.begin_application(step) == first
    old, new = await world.row(earlier), await world.row(step.application.application_id)
    assert (new.bio, new.qualifications, new.certifications) == (old.bio, old.qualifications, old.certifications)
    assert new.subjects == [SPANISH]
    copies = await world.documents(new.id)
    originals = [each for each in await world.documents(earlier) if each.id != replaced]
    assert [each.kind for each in copies] == [each.kind for each in originals]
    for copy, original in zip(copies, originals, strict=True):
        assert (copy.sha256, copy.subject, copy.link) == (original.sha256, original.subject, original.link)
        assert (copy.version, copy.first_version_id, copy.verdict, copy.judged_by) == (1, copy.id, None, None)
        if copy.file_key is not None:
            assert copy.file_key == f"{files_of(new.id)}/{copy.id}"
    # What becomes of the earlier one is nothing to the new one.
    await world.erase(earlier)
    for copy in copies:
        if copy.file_key is not None:
            await world.files.get(copy.file_key, digest=copy.sha256)
    assert (await world.submit(new.id)).refusal is None


async def test_what_is_not_there_any_more_is_not_taken_over(world: World, tmp_path: Path) -> None:
    somebody = await world.person()
    earlier = await world.filled(somebody)
    [first, *_] = await world.documents(earlier)
    await world.end(earlier, S.WITHDRAWN)
    assert first.file_key is not None
    (tmp_path / first.file_key).unlink()
    step = world.beginning(somebody, earlier)
    assert (await world.steps.begin_application(step)).refusal is None
    assert len(await world.documents(step.application.application_id)) == 1
    await world.end(step.application.application_id, S.WITHDRAWN)
    await world.erase(earlier)
    again = world.beginning(somebody, earlier)
    assert (await world.steps.begin_application(again)).refusal is None
    assert await world.documents(again.application.application_id) == []
    assert (await world.row(again.application.application_id)).bio is None


async def test_taking_over_takes_as_many_statements_for_many_documents(world: World, engine: AsyncEngine) -> None:
    counts = []
    for more in (0, 30):
        somebody = await world.person()
        earlier = await world.filled(somebody)
        for _ in range(more):
            await world.show(earlier, IDENTITY)
        await world.end(earlier, S.WITHDRAWN)
        with statements_of(engine) as sent:
            await world.steps.begin_application(world.beginning(somebody, earlier))
        counts.append(len(sent))
    assert counts[0] == counts[1] < 14


# ---- sending ----


async def test_what_is_missing_is_listed(world: World) -> None:
    application_id = await world.draft()
    await world.change(application_id, subjects=[SPANISH, DANCE, CLOSED])
    refused = await world.submit(application_id)
    assert refused.refusal is Reason.APPLICATION_INCOMPLETE
    assert refused.missing == (
        "bio", "qualifications", f"subject_closed:{CLOSED}", "certifications", "identity", "video",
        f"certification:{SPANISH}",
    )  # fmt: skip
    assert (await world.row(application_id)).status == S.DRAFT


async def test_it_is_submitted_once(world: World) -> None:
    application_id = await world.filled()
    assert await world.submit(application_id) == CheckedApplication()
    sent_at = (await world.row(application_id)).submitted_at
    assert await world.submit(application_id) == CheckedApplication()
    row = await world.row(application_id)
    assert (row.status, row.submitted_at, row.clock_started_at) == ("submitted", sent_at, None)
    assert (await world.audited(application_id))[1:] == [("draft", "submitted", "submitted")]
    await world.open(application_id)
    assert await world.submit(application_id) == CheckedApplication()


async def test_what_is_over_or_unknown_is_not_submitted(world: World) -> None:
    application_id = await world.filled()
    await world.end(application_id, S.WITHDRAWN)
    assert (await world.submit(application_id)).refusal is Reason.APPLICATION_OVER
    assert (await world.submit(uuid4())).refusal is Reason.NOT_FOUND
    assert (await world.answer(uuid4())).refusal is Reason.NOT_FOUND


async def test_a_replaced_an_expired_and_a_rejected_document_do_not_count(world: World) -> None:
    async with world.sessions() as session:
        today: date = await academy_day(session, now())
    application_id = await world.filled()
    identity = (await world.documents(application_id))[0].id
    cases: list[dict[str, object]] = [
        {"replaced_at": now()},
        {"expires_on": today - timedelta(days=1)},
        {"verdict": "rejected", "judged_at": now()},
    ]
    for spoiled in cases:
        await world.alter(identity, **spoiled)
        assert (await world.submit(application_id)).missing == ("identity",)
        await world.alter(identity, **dict.fromkeys(spoiled))
    await world.alter(identity, expires_on=today)
    assert (await world.submit(application_id)).refusal is None


async def test_three_in_twelve_months_are_enough(world: World) -> None:
    somebody = await world.person()
    earlier = []
    for _ in range(3):
        application_id = await world.filled(somebody)
        await world.submit(application_id)
        await world.end(application_id, S.WITHDRAWN)
        earlier.append(application_id)
    refused = await world.steps.begin_application(world.beginning(somebody))
    assert refused.refusal is Reason.TOO_MANY_APPLICATIONS
    await world.change(earlier[0], submitted_at=ago(days=366))
    application_id = await world.filled(somebody)
    await world.change(earlier[0], submitted_at=ago(days=1))
    assert (await world.submit(application_id)).refusal is Reason.TOO_MANY_APPLICATIONS
    await world.change(earlier[0], submitted_at=ago(days=366))
    assert (await world.submit(application_id)).refusal is None


async def test_an_edit_and_a_submission_at_once_come_one_after_the_other(world: World) -> None:
    """Whoever edits holds the row and looks at the state, as routes do; so nothing that was sent is changed."""
    application_id = await world.filled()

    async def edit() -> bool:
        async with world.sessions.begin() as session:
            row = await session.get_one(TutorApplication, application_id, with_for_update=True)
            if row.status != S.DRAFT:
                return False
            row.bio = None
            await session.flush()
            await asyncio.sleep(0)
            return True

    edited, submitted = await asyncio.gather(edit(), world.submit(application_id))
    row = await world.row(application_id)
    if edited:
        assert (row.status, row.bio, submitted.missing) == ("draft", None, ("bio",))
    else:
        assert (row.status, submitted.refusal) == ("submitted", None)
        assert row.bio is not None


# ---- answering ----


async def test_an_answer_hands_it_back_once_nothing_is_missing(world: World) -> None:
    application_id = await world.in_review()
    assert (await world.answer(application_id)).refusal is Reason.NO_INFO_REQUESTED
    await world.ask_for_info(application_id)
    await world.change(application_id, bio=" ")
    refused = await world.answer(application_id)
    assert (refused.refusal, refused.missing) == (Reason.APPLICATION_INCOMPLETE, ("bio",))
    await world.change(application_id, bio="Better.")
    assert [await world.answer(application_id) for _ in range(2)] == [CheckedApplication()] * 2
    row = await world.row(application_id)
    assert (row.status, row.info_due_at, row.rounds) == ("submitted", None, 1)
    assert (await world.audited(application_id))[-1] == ("info_requested", "submitted", "answered")
    await world.end(application_id, S.WITHDRAWN)
    assert (await world.answer(application_id)).refusal is Reason.APPLICATION_OVER
    assert (await world.answer(await world.draft())).refusal is Reason.NO_INFO_REQUESTED


# ---- ending ----


async def test_a_draft_is_erased_at_once_and_what_was_sent_after_a_year(world: World) -> None:
    for status in (S.WITHDRAWN, S.EXPIRED):
        draft = await world.draft()
        ended = await world.end(draft, status)
        assert ended.status is status
        assert ended.erase_at is not None
        assert ended.erase_at <= now()
        assert await world.end(draft, status) == ended
    sent = await world.in_review()
    kept = await world.end(sent, S.WITHDRAWN)
    row = await world.row(sent)
    assert kept.erase_at == row.updated_at + relativedelta(months=12)
    assert (await world.audited(sent))[-1][1:] == ("withdrawn", "withdrawn")
    waiting = await world.in_review()
    await world.ask_for_info(waiting)
    late = await world.end(waiting, S.EXPIRED)
    assert late.erase_at is not None
    assert late.erase_at > now() + timedelta(days=360)
    assert (await world.row(waiting)).info_due_at is None


async def test_a_resting_application_is_kept_and_can_still_end(world: World) -> None:
    application_id = await world.in_review()
    ended = await world.end(application_id, S.INACTIVE)
    assert (ended.status, ended.erase_at) == (S.INACTIVE, None)
    assert (await world.row(application_id)).clock_started_at is None
    expired = await world.end(application_id, S.EXPIRED)
    assert expired.status is S.EXPIRED
    assert expired.erase_at is not None


async def test_what_comes_too_late_changes_nothing(world: World) -> None:
    application_id = await world.in_review()
    await world.reviews.record_decision(world.decision(application_id, TaskAction.REJECT_SOFT, S.REJECTED_SOFT))
    before = await world.row(application_id)
    for status in (S.WITHDRAWN, S.INACTIVE, S.EXPIRED):
        ended = await world.end(application_id, status)
        assert (ended.status, ended.erase_at) == (S.REJECTED_SOFT, before.erase_at)
    assert await world.row(application_id) == before
    waiting = await world.in_review()
    await world.ask_for_info(waiting)
    assert (await world.end(waiting, S.INACTIVE)).status is S.INFO_REQUESTED


# ---- erasing ----


async def words_left(world: World, *words: str) -> list[str]:
    """In which tables and columns one of the words is left."""
    found = []
    async with world.sessions() as session:
        for table in SQLModel.metadata.sorted_tables:
            rows = (await session.execute(text(f'SELECT row_to_json(t)::text FROM "{table.name}" t'))).scalars()  # noqa: S608
            found += [table.name for row in rows for word in words if word in row and table.name != "people"]
    return found


async def with_everything(world: World, applicant_id: UUID) -> UUID:
    application_id = await world.in_review(applicant_id)
    await world.show(application_id, VIDEO)
    task_id = await world.open_task(application_id, None)
    step = world.decision(application_id, TaskAction.REQUEST_INFO, S.INFO_REQUESTED)
    await world.reviews.record_decision(step)
    async with world.sessions.begin() as session:
        await write_note(session, Remark(TASK, task_id, "staff:1", f"{NOTE} of the reviewer"))
        for subject_id in (application_id, step.task_id):
            session.add(
                Note(subject_kind=APPLICANT_MESSAGE, subject_id=subject_id, author="staff:1", text=f"{NOTE} said")
            )
        session.add(Note(subject_kind=TASK, subject_id=step.task_id, author="staff:1", text=f"{NOTE} too"))
        session.add(Note(subject_kind=TASK, subject_id=uuid4(), author="staff:1", text="of somebody else"))
    return application_id


async def test_no_word_of_the_applicant_is_left(world: World) -> None:
    words = (BIO, QUALIFICATIONS, CERTIFICATIONS, FILE_NAME, LINK, NOTE)
    somebody = await world.person()
    application_id = await with_everything(world, somebody)
    assert set(await words_left(world, *words)) == {"tutor_applications", "application_documents", "notes"}
    await world.files.put(f"{files_of(application_id)}/cut-off", b"left by an upload", "text/plain")
    keys = [each.file_key for each in await world.documents(application_id) if each.file_key] + [
        f"{files_of(application_id)}/cut-off"
    ]
    before = await world.documents(application_id)
    neighbour = await world.filled()
    await world.end(application_id, S.WITHDRAWN)
    for _ in range(2):
        await world.erase(application_id)
    for key in keys:
        with pytest.raises(FileMissingError):
            await world.files.get(key)
    row = await world.row(application_id)
    assert row.erased_at is not None
    assert (row.subjects, row.rounds, row.status) == ([SPANISH], 1, "withdrawn")
    after = await world.documents(application_id)
    assert [each.sha256 for each in after] == [each.sha256 for each in before]
    assert [entry[2] for entry in await world.audited(application_id)].count("erased") == 1
    # A neighbour keeps everything.
    for document in await world.documents(neighbour):
        assert document.file_key is not None
        await world.files.get(document.file_key, digest=document.sha256)
    await world.end(neighbour, S.WITHDRAWN)
    await world.erase(neighbour)
    assert await words_left(world, *words) == []
    async with world.sessions() as session:
        assert (await session.execute(select(col(Note.text)))).scalars().all() == ["of somebody else"]


async def test_what_still_counts_is_not_erased(world: World) -> None:
    application_id = await world.in_review()
    await world.erase(application_id)
    assert (await world.row(application_id)).erased_at is None
    for document in await world.documents(application_id):
        assert document.file_key is not None
        await world.files.get(document.file_key)


async def test_the_due_date_is_fourteen_days_after_the_question(world: World) -> None:
    application_id = await world.in_review()
    asked = await world.ask_for_info(application_id)
    row = await world.row(application_id)
    assert asked.info_due_at == row.updated_at + INFO_DUE_AFTER
