"""Tasks on record: pinned moments, whom a waiting task is told to, who has taken it, notes; and the mail about it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import delete, func, select, update
from sqlmodel import col

from activities.database import Sessions
from activities.files import FileStore
from activities.mail import MailActivities, SmtpSettings
from activities.task_record import TASK, Remark, assign_task, notes_of, staff_actor, write_note
from activities.tasks import TaskActivities
from models.errors import Reason
from models.messages.mail import SendMail
from models.messages.tasks import CloseTask, DecideTask, EscalateTask, OpenTask
from models.tables import Academy, AuditEntry, HumanTask, Note, TaskContact, TutorApplication
from models.tables.columns import now
from models.vocabulary import MailStatus, MailTemplate, TaskAction, TaskKind, TaskQueue, TaskStatus
from rules.business_days import after_working_days
from rules.decision import Refused
from rules.tasks import queue_of
from sandbox.mailbox import Mailbox
from sandbox.sample_academy import sample_id
from tests.fresh_record import load_academy

BERLIN = ZoneInfo("Europe/Berlin")
FINANCE, LEAD, HEAD, SUPPORT, GRACE = (
    sample_id("person", key) for key in ("finance", "lead", "head", "support", "grace")
)


@pytest.fixture
async def tasks(sessions: Sessions) -> TaskActivities:
    await load_academy(sessions)
    return TaskActivities(sessions)


def a_task(kind: TaskKind = TaskKind.PAY_BACK, **told: object) -> OpenTask:
    facts: dict[str, object] = {
        "task_id": uuid4(),
        "kind": kind,
        "subject_kind": "order",
        "subject_id": uuid4(),
        "reason": "Look at it.",
        "allowed_actions": (TaskAction.ACCEPT, TaskAction.DISMISS),
        "due_at": now() + timedelta(days=2),
        "workflow_id": f"order-{uuid4()}",
        "queue": queue_of(kind),
        "working_days": 2,
    }
    return OpenTask.model_validate(facts | told)


async def opened(tasks: TaskActivities, kind: TaskKind = TaskKind.PAY_BACK) -> UUID:
    step = a_task(kind)
    await tasks.open_task(step)
    return step.task_id


async def row(tasks: TaskActivities, task_id: UUID) -> HumanTask:
    async with tasks.sessions() as session:
        return await session.get_one(HumanTask, task_id)


async def escalate(tasks: TaskActivities, task_id: UUID, level: int) -> UUID | None:
    told = await tasks.escalate_task(EscalateTask(task_id=task_id, level=level, workflow_id="order-1"))
    return told.recipient_id


async def close(tasks: TaskActivities, task_id: UUID, note: str | None = None) -> None:
    decision = DecideTask(task_id=task_id, action=TaskAction.ACCEPT, actor="staff:frida", note=note)
    await tasks.close_task(CloseTask(decision=decision, workflow_id="order-1"))


async def assign(tasks: TaskActivities, task_id: UUID, assignee: str | None, actor: str = "staff:frida") -> object:
    async with tasks.sessions.begin() as session:
        return await assign_task(session, task_id, assignee, actor=actor)


async def audited(tasks: TaskActivities, task_id: UUID) -> list[str]:
    query = select(col(AuditEntry.reason)).where(col(AuditEntry.subject_id) == task_id).order_by(col(AuditEntry.id))
    async with tasks.sessions() as session:
        return list((await session.execute(query)).scalars())


# ---- the moments ----


async def test_the_moments_of_the_academys_working_days_are_pinned(tasks: TaskActivities) -> None:
    step = a_task()
    answer = await tasks.open_task(step)
    task = await row(tasks, step.task_id)
    expected = [after_working_days(task.created_at, days, BERLIN, "DE") for days in (2, 1, 2, 4)]
    assert [task.due_at, task.remind_at, task.escalate_at, task.escalate_again_at] == expected
    assert [answer.due_at, answer.remind_at, answer.escalate_at, answer.escalate_again_at] == expected
    assert (task.queue, task.escalation, task.assignee) == ("finance", 0, None)
    async with tasks.sessions.begin() as session:
        await session.execute(update(Academy).values(country="US", time_zone="America/New_York"))
    assert await tasks.open_task(step) == answer
    assert await audited(tasks, step.task_id) == ["pay_back"]


async def test_a_fixed_due_date_stays_and_an_end_cuts_the_reminders(tasks: TaskActivities) -> None:
    due_at = now() + timedelta(hours=3)
    fixed = await tasks.open_task(a_task(due_at=due_at, working_days=None))
    assert fixed.due_at == due_at
    assert None not in (fixed.remind_at, fixed.escalate_at, fixed.escalate_again_at)
    ends = await tasks.open_task(a_task(TaskKind.PROVISIONING_FAILED, due_at=due_at, until=due_at, working_days=None))
    assert (ends.due_at, ends.remind_at, ends.escalate_at, ends.escalate_again_at) == (due_at, None, None, None)


async def test_a_task_is_given_to_somebody_and_knows_how_long_it_was_waited_for(tasks: TaskActivities) -> None:
    days = 24 * 3600
    step = a_task(TaskKind.TUTOR_REVIEW, assignee=f"staff:{GRACE}", used_seconds=4 * days, working_days=5)
    answer = await tasks.open_task(step)
    task = await row(tasks, step.task_id)
    assert (task.assignee, task.queue) == (f"staff:{GRACE}", "review")
    # The reviewer was reminded on the third day already; a day is left of five, and four of eight.
    one, four = (after_working_days(task.created_at, days, BERLIN, "DE") for days in (1, 4))
    assert (answer.due_at, answer.remind_at, answer.escalate_at, answer.escalate_again_at) == (one, None, one, four)
    # Who has it meanwhile keeps it, whatever the repeat says.
    await assign(tasks, step.task_id, f"staff:{FINANCE}")
    assert await tasks.open_task(step) == answer
    assert (await row(tasks, step.task_id)).assignee == f"staff:{FINANCE}"


async def test_a_task_before_there_is_an_academy_is_opened_all_the_same(sessions: Sessions) -> None:
    answer = await TaskActivities(sessions).open_task(a_task())
    assert answer.due_at > now()


# ---- who is told ----


async def test_each_level_is_written_once_and_told_to_its_contact(tasks: TaskActivities) -> None:
    task_id = await opened(tasks)
    for level, contact in ((1, FINANCE), (2, LEAD), (3, HEAD)):
        assert [await escalate(tasks, task_id, level) for _ in range(2)] == [contact, contact]
        assert (await row(tasks, task_id)).escalation == level
    await escalate(tasks, task_id, 1)
    assert (await row(tasks, task_id)).escalation == 3
    assert await audited(tasks, task_id) == ["pay_back", "reminded", "escalated", "escalated_again"]
    assert await escalate(tasks, await opened(tasks, TaskKind.PROVISIONING_FAILED), 1) == SUPPORT


async def test_who_has_taken_a_task_is_reminded_and_others_are_told_later(tasks: TaskActivities) -> None:
    task_id = await opened(tasks)
    for assignee, reminded in (
        (f"admin:{SUPPORT}", SUPPORT),
        ("staff:frida", FINANCE),
        (f"staff:{uuid4()}", FINANCE),
        (None, FINANCE),
    ):
        await assign(tasks, task_id, assignee)
        assert await escalate(tasks, task_id, 1) == reminded
    await assign(tasks, task_id, f"staff:{SUPPORT}")
    assert await escalate(tasks, task_id, 2) == LEAD


async def test_nobody_hears_of_their_own_application(tasks: TaskActivities, post: "Post") -> None:
    for applicant, told in (
        (FINANCE, [LEAD, LEAD, HEAD]),
        (LEAD, [FINANCE, HEAD, HEAD]),
        (HEAD, [FINANCE, LEAD, LEAD]),
    ):
        application = TutorApplication(applicant_id=applicant, workflow_id="tutor-application-1")
        about = {"subject_kind": "tutor_application", "subject_id": application.id, "assignee": f"staff:{applicant}"}
        async with tasks.sessions.begin() as session:
            await session.execute(delete(TutorApplication))
            session.add(application)
        task = await tasks.open_task(a_task(**about))
        assert task.task_id is not None
        assert [await escalate(tasks, task.task_id, level) for level in (1, 2, 3)] == told
        assert await post.send(task.task_id, told[0], "reminder") == (MailStatus.SENT, None)
        with pytest.raises(Exception, match="nothing of this kind"):
            await post.send(task.task_id, applicant, "reminder")


async def test_without_contacts_the_level_counts_all_the_same(tasks: TaskActivities) -> None:
    task_id = await opened(tasks)
    async with tasks.sessions.begin() as session:
        await session.execute(update(TaskContact).values(escalate_again_id=None))
    assert await escalate(tasks, task_id, 3) is None
    async with tasks.sessions.begin() as session:
        await session.execute(delete(TaskContact))
    other = await opened(tasks)
    assert await escalate(tasks, other, 1) is None
    assert [(await row(tasks, each)).escalation for each in (task_id, other)] == [3, 1]


async def test_what_was_decided_is_not_escalated(tasks: TaskActivities) -> None:
    task_id = await opened(tasks)
    await close(tasks, task_id)
    assert await escalate(tasks, task_id, 1) is None
    assert (await row(tasks, task_id)).escalation == 0


# ---- who has taken it ----


async def test_fifty_who_give_a_task_to_the_same_person_at_once_are_one_change(tasks: TaskActivities) -> None:
    task_id = await opened(tasks)
    await asyncio.gather(*(assign(tasks, task_id, f"staff:{LEAD}") for _ in range(50)))
    assert await audited(tasks, task_id) == ["pay_back", f"assigned to staff:{LEAD}"]


async def test_of_fifty_who_take_a_task_at_once_the_last_has_it(tasks: TaskActivities) -> None:
    task_id = await opened(tasks)
    await asyncio.gather(*(assign(tasks, task_id, f"staff:{number}", f"staff:{number}") for number in range(50)))
    [_, *takes] = await audited(tasks, task_id)
    assert sorted(takes) == sorted(f"assigned to staff:{number}" for number in range(50))
    taken_by = (await row(tasks, task_id)).assignee
    async with tasks.sessions() as session:
        latest = select(col(AuditEntry.reason)).order_by(col(AuditEntry.created_at).desc()).limit(1)
        assert (await session.execute(latest)).scalar_one() == f"assigned to {taken_by}"


async def test_what_is_decided_or_unknown_is_not_taken(tasks: TaskActivities) -> None:
    task_id = await opened(tasks)
    await close(tasks, task_id)
    for wanted, reason in ((task_id, Reason.TASK_NOT_OPEN), (uuid4(), Reason.NOT_FOUND)):
        refused = await assign(tasks, wanted, "staff:frida")
        assert isinstance(refused, Refused)
        assert refused.reason is reason


async def test_staff_is_who_looks_after_a_queue_or_has_decided_before(tasks: TaskActivities) -> None:
    async def known(person_id: UUID) -> str | None:
        async with tasks.sessions() as session:
            return await staff_actor(session, person_id)

    assert [await known(person) for person in (FINANCE, HEAD)] == [f"staff:{FINANCE}", f"staff:{HEAD}"]
    assert [await known(person) for person in (GRACE, uuid4())] == [None, None]
    task_id = await opened(tasks)
    await assign(tasks, task_id, f"admin:{GRACE}")
    assert await known(GRACE) == f"admin:{GRACE}"


# ---- notes ----


async def test_a_note_of_the_web_ui_is_kept_with_the_decision_once(tasks: TaskActivities) -> None:
    task_id, silent = await opened(tasks), await opened(tasks)
    for _ in range(2):
        await close(tasks, task_id, " The bank has\n kept a fee.\0 ")
        await close(tasks, silent, " \0")
    async with tasks.sessions() as session:
        [note] = (await session.execute(select(Note))).scalars()
    assert (note.subject_kind, note.subject_id, note.author) == ("task", task_id, "staff:frida")
    assert note.text == "The bank has\n kept a fee."


async def test_the_same_words_of_the_same_author_are_one_note(tasks: TaskActivities) -> None:
    task_id = await opened(tasks)

    async def say(author: str, text: str) -> bool:
        async with tasks.sessions.begin() as session:
            return await write_note(session, Remark(TASK, task_id, author, text))

    assert sum(await asyncio.gather(*(say("staff:1", "a") for _ in range(20)))) == 1
    assert [await say("staff:2", "a"), await say("staff:1", "b"), await say("staff:1", "b")] == [True, True, False]
    async with tasks.sessions() as session:
        notes = await notes_of(session, task_id)
        assert [(note.author, note.text) for note in notes] == [("staff:1", "a"), ("staff:2", "a"), ("staff:1", "b")]
        assert (await session.execute(select(func.count()).select_from(Note))).scalar_one() == 3


# ---- the mail ----


@dataclass
class Post:
    """Sends reminders of a task."""

    mails: MailActivities
    mailbox: Mailbox

    async def send(self, task_id: UUID, to: UUID, occasion: str) -> tuple[MailStatus, str | None]:
        report = await self.mails.send_mail(
            SendMail(
                recipient_id=to,
                template=MailTemplate.TASK_REMINDER,
                subject_id=task_id,
                workflow_id="order-1",
                occasion=occasion,
            )
        )
        return report.status, report.reason


@pytest.fixture
async def post(tasks: TaskActivities, tmp_path: Path) -> AsyncIterator[Post]:
    async with Mailbox.serve(tmp_path / "mail") as box:
        smtp = SmtpSettings.from_url(box.smtp_url, "TutorHub Academy <academy@registrar.test>", "registrar.test")
        files = FileStore((tmp_path / "files").as_uri())
        yield Post(MailActivities(tasks.sessions, files, smtp, None, "https://ui.test/{workflow_id}"), box)


async def test_the_levels_reach_their_people_once(tasks: TaskActivities, post: Post) -> None:
    task_id = await opened(tasks)
    for occasion, to in (("reminder", FINANCE), ("escalation", LEAD), ("second_escalation", HEAD)):
        for _ in range(2):
            assert await post.send(task_id, to, occasion) == (MailStatus.SENT, None)
    subjects = sorted(mail.subject.split(":")[0] for mail in post.mailbox.mails())
    assert subjects == ["Erinnerung", "Eskalation", "Second escalation"]
    workflow_id = (await row(tasks, task_id)).workflow_id
    assert all(f"https://ui.test/{workflow_id}" in (mail.text or "") for mail in post.mailbox.mails())


async def test_a_decision_that_came_first_stops_the_mail(tasks: TaskActivities, post: Post) -> None:
    task_id = await opened(tasks)
    await close(tasks, task_id)
    assert (await row(tasks, task_id)).status == TaskStatus.DONE
    assert await post.send(task_id, FINANCE, "reminder") == (MailStatus.SKIPPED, "task_done")
    assert post.mailbox.mails() == []


@pytest.mark.parametrize("stranger", [GRACE, SUPPORT])
async def test_a_task_is_told_to_nobody_else(tasks: TaskActivities, post: Post, stranger: UUID) -> None:
    task_id = await opened(tasks)
    assert (await row(tasks, task_id)).queue == TaskQueue.FINANCE
    with pytest.raises(Exception, match="nothing of this kind") as refused:
        await post.send(task_id, stranger, "reminder")
    assert getattr(refused.value, "type", None) == "mail_without_subject"
    assert post.mailbox.mails() == []
