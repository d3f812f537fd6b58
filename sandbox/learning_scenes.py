"""The scene of the demo about learning: a course of four weeks, on a clock that runs as fast as the work is done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from rich.table import Table
from sqlalchemy import and_, select
from sqlmodel import col

from models.identifiers import drip_workflow_id
from models.messages.learning import LessonRecorded, RecordLesson
from models.tables import Lesson, LessonProgress, LessonRelease, Mail
from models.vocabulary import DripKind, EnrollmentStatus, LessonStatus, MailStatus, MailTemplate
from sandbox.play import Json, Player, Scene
from sandbox.sample_academy import read_academy
from sandbox.scenes import VISA
from sandbox.virtual_time import VirtualTime, virtual_time

_LEARNER, _COURSE = "grace", "portuguese-a1"
_A_DAY, _PATIENCE_DAYS = timedelta(days=1), 45
# What she gets in each attempt; the first test of week 1 is not enough.
_SCORES: Mapping[str, Sequence[int]] = {
    "Test of week 1": (45, 78),
    "Test of week 2": (81,),
    "An essay": (19,),
    "The last test": (90,),
}
_BECAUSE = {
    DripKind.IMMEDIATELY: "open from the start",
    DripKind.AFTER_START: "so long after the first start",
    DripKind.AFTER_LESSON: "another lesson was done",
    DripKind.AFTER_MODULE: "enough of a module was done",
}


@dataclass(frozen=True)
class OpenedLesson:
    """A lesson that has opened, what became of it, and when its mail was handed over."""

    lesson_id: UUID
    title: str
    opened_at: datetime
    reason: str
    status: str | None
    attempts: int
    mailed_at: datetime | None

    @property
    def is_done(self) -> bool:
        return self.status in (LessonStatus.COMPLETED, LessonStatus.PASSED)


@dataclass(frozen=True)
class Learned:
    """A course from its first day to its last."""

    opened: Sequence[OpenedLesson]
    started_at: datetime
    days: int


async def four_weeks(player: Player, scene: Scene) -> None:
    player.say("Grace buys a course of four weeks; from here on her lessons run on a clock of their own")
    order: Json = (await player.order(_LEARNER, _COURSE)).raise_for_status().json()
    await player.pay_on_page(order["payment"]["checkout_url"], VISA)
    done = await player.order_is(order["id"], EnrollmentStatus.COMPLETED, _LEARNER)
    enrollment_id = UUID(done["lines"][0]["enrollment"]["id"])
    scene.workflow_id = drip_workflow_id(enrollment_id)
    player.say("Every day she does what is open; a test that she has not passed she tries again the day after")
    async with virtual_time(player.settings, enrollment_id) as time:
        course = await learned_to_its_end(time)
    opened, started_at = course.opened, course.started_at
    player.show(_table(opened, started_at))
    told = len({each.mailed_at for each in opened if each.mailed_at is not None})
    if not told:
        raise AssertionError("nobody told her that lessons have opened")
    player.say(f"Completed on day {course.days} with {told} mails, by day and never more than three in a week")
    scene.state = EnrollmentStatus.COMPLETED


async def learned_to_its_end(time: VirtualTime) -> Learned:
    """She comes every day, from the first on, until the course is completed. Raises `AssertionError` if it never is."""
    started_at = await time.now()
    recorded = await _learned(time)
    for day in range(_PATIENCE_DAYS):
        if recorded is not None and recorded.is_course_complete:
            return Learned(await _opened(time), started_at, day)
        await time.go_on(_A_DAY)
        recorded = await _learned(time) or recorded
    raise AssertionError("she has not come to the end of the course")


async def _learned(time: VirtualTime) -> LessonRecorded | None:
    """She does everything that is open and not done yet, in its order, and what that opens at once."""
    last: LessonRecorded | None = None
    tried: set[UUID] = set()
    while waiting := [each for each in await _opened(time) if not each.is_done and each.lesson_id not in tried]:
        for lesson in waiting:
            tried.add(lesson.lesson_id)
            scores = _SCORES.get(lesson.title)
            score = None if scores is None else Decimal(scores[min(lesson.attempts, len(scores) - 1)])
            # Only whoever teaches, and the platform, may say how many marks it was.
            told = RecordLesson(
                attempt_id=uuid4(), enrollment_id=time.enrollment_id, lesson_id=lesson.lesson_id, is_finished=True,
                score=score, time_spent_seconds=1800, actor="service:platform",
            )  # fmt: skip
            last = await time.report(told)
    return last


async def _opened(time: VirtualTime) -> list[OpenedLesson]:
    """What has opened so far, the previews that are free for everybody left out."""
    mine = col(LessonRelease.enrollment_id) == time.enrollment_id
    progress = and_(
        col(LessonProgress.enrollment_id) == time.enrollment_id, col(LessonProgress.lesson_id) == col(Lesson.id)
    )
    mail = and_(
        col(Mail.subject_id) == time.enrollment_id,
        col(Mail.template) == MailTemplate.LESSONS_RELEASED,
        col(Mail.occasion) == col(LessonRelease.mail_key),
        col(Mail.status) == MailStatus.SENT,
    )
    query = (
        select(
            col(Lesson.id), col(Lesson.title), col(LessonRelease.opened_at), col(LessonRelease.reason),
            col(LessonProgress.status), col(LessonProgress.attempts), col(Mail.handed_over_at),
        )
        .select_from(LessonRelease)
        .join(Lesson, col(Lesson.id) == col(LessonRelease.lesson_id))
        .join(LessonProgress, progress, isouter=True)
        .join(Mail, mail, isouter=True)
        .where(mine, col(Lesson.is_preview).is_(False))
        .order_by(col(LessonRelease.opened_at), col(Lesson.position))
    )  # fmt: skip
    async with time.sessions() as session:
        rows = (await session.execute(query)).all()
    return [
        OpenedLesson(id_, title, opened_at, reason, status, attempts or 0, mailed_at)
        for id_, title, opened_at, reason, status, attempts, mailed_at in rows
    ]


def _table(opened: Sequence[OpenedLesson], started_at: datetime) -> Table:
    """Week by week what has opened, why, and when she was told, by her clock."""
    zone = ZoneInfo(next(each.time_zone for each in read_academy().people if each.key == _LEARNER))
    table = Table(title=f"Four weeks, {zone.key} time", title_justify="left")
    for column in ("Week", "Opened", "Lesson", "Because", "Mail"):
        table.add_column(column)
    shown = 0
    for each in opened:
        week = max(1, (each.opened_at - started_at).days // 7 + 1)
        reason = _BECAUSE.get(DripKind(each.reason), each.reason)
        attempts = f" ({each.attempts} attempts)" if each.attempts > 1 else ""
        told = "–" if each.mailed_at is None else f"{each.mailed_at.astimezone(zone):%a %d %H:%M}"
        opened_at = f"{each.opened_at.astimezone(zone):%a %d %b %H:%M}"
        table.add_row("" if week == shown else str(week), opened_at, f"{each.title}{attempts}", reason, told)
        shown = week
    return table


LEARNING_SCENES = [Scene("Four weeks of a course, on a clock of their own", four_weeks)]
