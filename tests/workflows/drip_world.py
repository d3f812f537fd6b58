"""A world for the drip workflow: enrollments, their lessons and what has opened, as the record has them.

The steps keep the contracts of `activities/drips.py`, with the real rules (rules/drip.py, access.py, completion.py).
Releases are a set that only grows. What must never happen is noted (`wrongs`).
"""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import cast
from uuid import UUID
from zoneinfo import ZoneInfo

from temporalio import activity, workflow
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from models.drip import DripRule, Immediately
from models.errors import Reason
from models.identifiers import drip_workflow_id, task_id_for
from models.messages.certificates import CertificateOutcome, CertificateStart
from models.messages.learning import (
    AdvanceDrip,
    ChangeEnrollment,
    DripStart,
    DripStep,
    EnrollmentChanged,
    LearningMail,
    LessonRecorded,
    RecordLesson,
    WriteEnrollmentChange,
    WriteLesson,
)
from models.messages.mail import MailReport, SendMail
from models.messages.tasks import CloseTask, DecideTask, EscalatedTask, EscalateTask, OpenedTask, OpenTask
from models.vocabulary import (
    CompletionRule,
    DripKind,
    EnrollmentChange,
    EnrollmentStatus,
    Judgement,
    LessonStatus,
    MailStatus,
    MailTemplate,
    ReleaseStatus,
    TaskAction,
)
from rules.access import due_notice, next_notice
from rules.completion import LessonResult, is_completed, wants_judgement
from rules.drip import EnrollmentToPlan, LessonToPlan, Pause, PlannedLesson, due, next_opening, plan
from rules.local_time import at_local
from tests.workflows.simulation import Mishaps, Run, Simulation
from workflows.drip import DripWorkflow

ENROLLMENT, LEARNER, STAFF = UUID(int=1), UUID(int=7), "staff:7"
LIVE = (EnrollmentStatus.ACTIVE, EnrollmentStatus.COMPLETED)
START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
_MOVES = {
    (EnrollmentChange.SUSPEND, EnrollmentStatus.ACTIVE): EnrollmentStatus.SUSPENDED,
    (EnrollmentChange.REACTIVATE, EnrollmentStatus.SUSPENDED): EnrollmentStatus.ACTIVE,
}
# Longer than any message takes.
_ON_ITS_WAY = timedelta(seconds=10)
_NINE = datetime.min.time().replace(hour=9)


def lesson(number: int) -> UUID:
    """The id of a lesson."""
    return UUID(int=1000 + number)


@workflow.defn(name="CertificateWorkflow")
class Certified:
    """A certificate that is issued, and looked after for good."""

    @workflow.run
    async def run(self, start: CertificateStart) -> CertificateOutcome:
        await workflow.wait_condition(lambda: False)
        return CertificateOutcome()


@dataclass
class Mail:
    """One row of the ledger."""

    status: MailStatus = MailStatus.QUEUED
    deferred_until: datetime | None = None
    sent: int = 0


@dataclass
class Place:
    """One enrollment, with what there is of it in the record. `released` says when each lesson was written as open."""

    lessons: list[LessonToPlan]
    id: UUID = ENROLLMENT
    begins_at: datetime = START
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    status: EnrollmentStatus = EnrollmentStatus.ACTIVE
    access_ends_at: datetime | None = None
    warning_days: tuple[int, ...] = (7, 1)
    completion: CompletionRule = CompletionRule.COMPLETE_ALL
    judgement: Judgement | None = None
    completed_at: datetime | None = None
    pauses: list[Pause] = field(default_factory=list)
    until: datetime | None = None
    sends_mails: bool = True
    released: dict[UUID, datetime] = field(default_factory=dict)
    to_tell: dict[UUID, datetime] = field(default_factory=dict)
    keys: dict[UUID, str] = field(default_factory=dict)
    attempts: set[UUID] = field(default_factory=set)
    changes: set[UUID] = field(default_factory=set)
    judged: list[Judgement] = field(default_factory=list)
    last_moment: datetime = START

    @property
    def is_paused(self) -> bool:
        return any(pause.resumed_at is None for pause in self.pauses)

    @property
    def results(self) -> list[LessonResult]:
        return [
            LessonResult(LessonStatus.COMPLETED if each.done_at else None) for each in self.lessons if not each.is_gone
        ]

    def planned(self, moment: datetime) -> tuple[PlannedLesson, ...]:
        facts = EnrollmentToPlan(
            begins_at=self.begins_at,
            zone=self.zone,
            lessons=tuple(self.lessons),
            is_live=self.status in LIVE,
            access_ends_at=self.access_ends_at,
            pauses=tuple(self.pauses),
        )
        return plan(facts, moment)

    def revise(self, lesson_id: UUID, **changes: object) -> None:
        """Write something about a lesson."""
        self.lessons = [replace(each, **changes) if each.id == lesson_id else each for each in self.lessons]  # type: ignore[arg-type]

    def find(self, lesson_id: UUID) -> LessonToPlan:
        return next(each for each in self.lessons if each.id == lesson_id)

    def resume(self, moment: datetime) -> None:
        """Let time go on."""
        self.pauses = [
            replace(pause, resumed_at=moment) if pause.resumed_at is None else pause for pause in self.pauses
        ]
        self.until = None


@dataclass
class DripWorld:
    """The record of some enrollments."""

    places: dict[UUID, Place]
    mails: dict[LearningMail, Mail] = field(default_factory=dict)
    tasks: dict[UUID, OpenTask] = field(default_factory=dict)
    closed: dict[UUID, DecideTask] = field(default_factory=dict)
    may_mail_at: datetime = START
    is_mail_down: bool = False
    done: Counter[str] = field(default_factory=Counter)
    wrongs: list[str] = field(default_factory=list)

    @property
    def steps(self) -> list[object]:
        return [self.advance_drip, self.record_lesson, self.change_enrollment, self.send_mail,
                self.open_task, self.escalate_task, self.close_task]  # fmt: skip

    # ---- the record ----

    @activity.defn
    async def advance_drip(self, step: AdvanceDrip) -> DripStep:
        self.done["advance"] += 1
        if step.enrollment_id not in self.places:
            raise ApplicationError("there is no such enrollment", type=Reason.NOT_FOUND, non_retryable=True)
        return self._advanced(self.places[step.enrollment_id], step.moment)[0]

    @activity.defn
    async def record_lesson(self, step: WriteLesson) -> LessonRecorded:
        self.done["record"] += 1
        told = step.told
        if told.enrollment_id not in self.places:
            return LessonRecorded(enrollment_id=told.enrollment_id, lesson_id=told.lesson_id, refusal=Reason.NOT_FOUND)
        place = self.places[told.enrollment_id]
        before, opened_before = self._advanced(place, step.moment)
        if told.attempt_id not in place.attempts:
            refused = self._refused(place, told, step.moment)
            if refused is not None:
                return refused.model_copy(update={"step": before})
            place.attempts.add(told.attempt_id)
            if place.find(told.lesson_id).done_at is None:
                place.revise(told.lesson_id, done_at=step.moment, passed_at=step.moment)
        after, opened = self._advanced(place, step.moment)
        return LessonRecorded(
            enrollment_id=place.id, lesson_id=told.lesson_id, opened=(*opened_before, *opened), step=after,
            status=LessonStatus.COMPLETED, is_course_complete=after.is_completed,
        )  # fmt: skip

    @activity.defn
    async def change_enrollment(self, step: WriteEnrollmentChange) -> EnrollmentChanged:
        self.done["change"] += 1
        place, wish = self.places[step.wish.enrollment_id], step.wish
        self._advanced(place, step.moment)
        if wish.change_id not in place.changes:
            reason = self._change(place, wish, step.moment)
            if reason is not None:
                return EnrollmentChanged(enrollment_id=place.id, refusal=reason, refusal_detail="It makes no sense.")
            place.changes.add(wish.change_id)
        after, opened = self._advanced(place, step.moment)
        return EnrollmentChanged(enrollment_id=place.id, status=place.status, opened=opened, step=after)

    def _advanced(self, place: Place, moment: datetime) -> tuple[DripStep, tuple[UUID, ...]]:
        """All that is due. The second time finds it done."""
        if moment < place.last_moment:
            self.wrongs.append("time went back")
        place.last_moment = moment
        if place.until is not None and place.until <= moment:
            place.resume(place.until)
        ends_at = place.access_ends_at
        if ends_at is not None and ends_at <= moment and place.status is EnrollmentStatus.ACTIVE:
            place.status = EnrollmentStatus.EXPIRED
        opened = tuple(each.lesson_id for each in due(place.planned(moment), moment))
        for each in due(place.planned(moment), moment):
            self._release(place, each, moment)
        is_complete = is_completed(place.completion, place.results, place.judgement)
        if place.status is EnrollmentStatus.ACTIVE and is_complete:
            place.status, place.completed_at = EnrollmentStatus.COMPLETED, moment
        return self._step(place, moment), opened

    def _release(self, place: Place, planned: PlannedLesson, moment: datetime) -> None:
        opens_at = planned.opens_at
        assert opens_at is not None
        if planned.lesson_id in place.released:
            self.wrongs.append("a lesson opened twice")
        if opens_at > moment or place.status not in LIVE or place.is_paused:
            self.wrongs.append("a lesson opened that should not")
        place.released[planned.lesson_id] = moment
        place.revise(planned.lesson_id, released_at=opens_at, released_by=planned.reason)
        if place.sends_mails and opens_at > place.begins_at:
            nine = at_local(opens_at.astimezone(place.zone).date(), _NINE, place.zone)
            place.to_tell[planned.lesson_id] = max(opens_at, nine)

    def _step(self, place: Place, moment: datetime) -> DripStep:
        told = [key for key, tell_at in place.to_tell.items() if tell_at <= moment]
        for lesson_id in told:
            place.keys[lesson_id] = f"r-{moment:%Y%m%dt%H%M}"
            del place.to_tell[lesson_id]
        wanted = [
            LearningMail(template=MailTemplate.LESSONS_RELEASED, subject_id=place.id, occasion=key)
            for key in sorted(set(place.keys.values()))
        ]
        planned, moments = place.planned(moment), list(place.to_tell.values())
        ends_at, is_live = place.access_ends_at, place.status in LIVE
        if ends_at is not None and (is_live or place.status is EnrollmentStatus.EXPIRED):
            notice = due_notice(ends_at, place.warning_days, moment)
            if notice is not None:
                wanted.append(LearningMail(template=notice.template, subject_id=place.id, occasion=notice.occasion))
            moments += [at for at in (next_notice(ends_at, place.warning_days, moment),) if at is not None]
        if is_live:
            moments += [at for at in (next_opening(planned, moment), place.until) if at is not None]
            moments += [ends_at] if ends_at is not None and ends_at > moment else []
        has_to_be_judged = place.status is EnrollmentStatus.ACTIVE and wants_judgement(
            place.completion, place.results, place.judgement
        )
        is_ended = place.status in (EnrollmentStatus.CANCELED, EnrollmentStatus.EXPIRED)
        wakes_at = None if is_ended else min((at for at in moments if at > moment), default=None)
        return DripStep(
            status=place.status,
            student_id=LEARNER,
            wakes_at=wakes_at,
            released=len(place.released),
            lessons=len(place.lessons),
            mails=tuple(mail for mail in wanted if mail not in self.mails),
            is_paused=place.is_paused,
            is_over=wakes_at is None and not has_to_be_judged,
            is_completed=place.completed_at is not None,
            wants_certificate=place.completed_at is not None and place.status is not EnrollmentStatus.CANCELED,
            wants_judgement=has_to_be_judged,
        )

    def _refused(self, place: Place, told: RecordLesson, moment: datetime) -> LessonRecorded | None:
        reason, opens_at = None, None
        planned = {each.lesson_id: each for each in place.planned(moment)}
        if place.status is EnrollmentStatus.EXPIRED:
            reason = Reason.ENROLLMENT_EXPIRED
        elif place.status not in LIVE:
            reason = Reason.ENROLLMENT_NOT_ACTIVE
        elif place.is_paused:
            reason = Reason.ENROLLMENT_PAUSED
        elif told.lesson_id not in planned:
            reason = Reason.NOT_FOUND
        elif planned[told.lesson_id].status is not ReleaseStatus.RELEASED:
            reason, opens_at = Reason.LESSON_NOT_OPEN, planned[told.lesson_id].opens_at
        if reason is None:
            return None
        return LessonRecorded(
            enrollment_id=place.id,
            lesson_id=told.lesson_id,
            refusal=reason,
            refusal_detail="No.",
            refusal_moment=opens_at,
        )

    def _change(self, place: Place, wish: ChangeEnrollment, moment: datetime) -> Reason | None:
        match wish.change:
            case EnrollmentChange.PAUSE if place.status in LIVE and not place.is_paused and wish.until is not None:
                place.pauses.append(Pause(moment, None))
                place.until = wish.until
            case EnrollmentChange.RESUME if place.is_paused:
                place.resume(moment)
            case EnrollmentChange.RELEASE if place.status in LIVE:
                for each in place.lessons:
                    if each.id in wish.lesson_ids and each.id not in place.released:
                        place.released[each.id] = moment
                        place.revise(each.id, released_at=moment, released_by=DripKind.MANUAL)
            case EnrollmentChange.SUSPEND | EnrollmentChange.REACTIVATE if (wish.change, place.status) in _MOVES:
                place.status = _MOVES[wish.change, place.status]
            case EnrollmentChange.MOVE_START if place.status in LIVE and wish.starts_at is not None:
                place.begins_at = wish.starts_at
            case EnrollmentChange.SET_ACCESS if place.status in (*LIVE, EnrollmentStatus.EXPIRED):
                place.access_ends_at = wish.access_ends_at
                if place.status is EnrollmentStatus.EXPIRED:
                    place.status = EnrollmentStatus.ACTIVE
            case EnrollmentChange.JUDGE if wish.judgement is not None and place.judgement is None:
                place.judgement = wish.judgement
                place.judged.append(wish.judgement)
            case EnrollmentChange.RESET if place.status is EnrollmentStatus.ACTIVE:
                place.lessons = [replace(each, done_at=None, passed_at=None) for each in place.lessons]
                place.judgement = None
            case _:
                return Reason.ENROLLMENT_NOT_ACTIVE
        return None

    # ---- mails and people ----

    @activity.defn
    async def send_mail(self, request: SendMail) -> MailReport:
        if self.is_mail_down:
            raise ApplicationError("the mail server is down", type="smtp_unreachable")
        key = LearningMail(template=request.template, subject_id=request.subject_id, occasion=request.occasion)
        moment = max(activity.info().started_time, START)
        mail = self.mails.setdefault(key, Mail())
        if mail.status is MailStatus.QUEUED:
            if request.template is MailTemplate.LESSONS_RELEASED and moment < self.may_mail_at:
                mail.deferred_until = self.may_mail_at
            else:
                mail.status, mail.deferred_until, mail.sent = MailStatus.SENT, None, mail.sent + 1
        return MailReport(mail_id=UUID(int=1), status=mail.status, deferred_until=mail.deferred_until)

    def sent(self, template: MailTemplate) -> list[str]:
        """The occasions of the mails that went out."""
        return [key.occasion for key, mail in self.mails.items() if key.template is template and mail.sent]

    @activity.defn
    async def open_task(self, task: OpenTask) -> OpenedTask:
        task_id = task.task_id
        while task_id in self.closed:
            task_id = task_id_for(str(task_id), "again")
        self.tasks.setdefault(task_id, task)
        return OpenedTask(task_id=task_id, due_at=task.due_at)

    @activity.defn
    async def escalate_task(self, step: EscalateTask) -> EscalatedTask:
        return EscalatedTask()

    @activity.defn
    async def close_task(self, step: CloseTask) -> None:
        self.closed.setdefault(step.decision.task_id, step.decision)


@dataclass
class Learning:
    """One enrollment on a simulated clock, and what people do with it."""

    place: Place
    world: DripWorld
    simulation: Simulation
    _number: int = 0

    @property
    def run(self) -> Run:
        return self.simulation.runs[drip_workflow_id(self.place.id)].latest

    @property
    def certificates(self) -> int:
        """How many certificate jobs there are."""
        return sum(each.startswith("certificate-") for each in self.simulation.runs)

    def start(self) -> None:
        """As the order does; one that is there already is woken, as by signal-with-start."""
        workflow_id = drip_workflow_id(self.place.id)
        if self.simulation.is_running(workflow_id):
            woken = self.run
            woken.signal(DripWorkflow.replan)
            self.simulation.after(_ON_ITS_WAY, lambda: self._start_again(woken))
        else:
            self.simulation.start(DripWorkflow.run, DripStart(enrollment_id=self.place.id), workflow_id)

    def _start_again(self, woken: Run) -> None:
        """A server ends no run that has not heard everything: a signal that comes too late starts another."""
        if woken.latest.ended is not None and woken.latest is self.run:
            self.start()

    def report(self, number: int, attempt: int | None = None) -> LessonRecorded:
        """A lesson is done. Raises `WorkflowUpdateFailedError` if it is refused."""
        told = RecordLesson(
            attempt_id=UUID(int=self._next() if attempt is None else attempt), enrollment_id=self.place.id,
            lesson_id=lesson(number), is_finished=True, actor="student:7",
        )  # fmt: skip
        return cast(LessonRecorded, self._update(DripWorkflow.record_lesson, told))

    def change(self, change: EnrollmentChange, **facts: object) -> EnrollmentChanged:
        """Staff changes it. Raises `WorkflowUpdateFailedError` if it is refused."""
        known: dict[str, object] = {"change_id": UUID(int=self._next()), "enrollment_id": self.place.id}
        wish = ChangeEnrollment.model_validate(known | {"change": change, "actor": STAFF} | facts)
        return cast(EnrollmentChanged, self._update(DripWorkflow.change, wish))

    def judge(self, action: TaskAction) -> None:
        """Staff decides the open task."""
        [task_id] = self.world.tasks.keys() - self.world.closed.keys()
        self.run.update(DripWorkflow.decide, DecideTask(task_id=task_id, action=action, actor=STAFF))

    def edit(self, lessons: Sequence[LessonToPlan]) -> None:
        """The course changes, and its page wakes this job."""
        self.place.lessons = list(lessons)
        self.start()

    def wait(self, **time: float) -> None:
        """Let time pass: `hours=1`."""
        self.simulation.run_for(timedelta(**time))

    def _next(self) -> int:
        self._number += 1
        return 5000 + self._number

    def _update(self, method: object, message: object) -> object:
        """Update-with-start, by who asks again if it ended at that very moment."""
        while True:
            workflow_id, is_new = (
                drip_workflow_id(self.place.id),
                not self.simulation.is_running(drip_workflow_id(self.place.id)),
            )
            if is_new:
                start = DripStart(enrollment_id=self.place.id)
                self.simulation.start(DripWorkflow.run, start, workflow_id)
            try:
                return self.run.update(method, message, with_start=is_new)
            except WorkflowUpdateFailedError as failed:
                if "the workflow is over" not in str(failed.cause):
                    raise


def course(*rules: DripRule | None) -> list[LessonToPlan]:
    """Lessons by these rules; none: open from the start."""
    return [LessonToPlan(lesson(number), rule or Immediately()) for number, rule in enumerate(rules)]


def learning(
    lessons: Sequence[LessonToPlan], seed: str = "", mishaps: Mishaps | None = None, **facts: object
) -> Learning:
    """Somebody who has just been enrolled, at eight in the morning (UTC), and whose job is started."""
    place = Place(list(lessons), **facts)  # type: ignore[arg-type]
    world = DripWorld({place.id: place})
    chance = random.Random(seed)  # noqa: S311 - the same every time
    job = Learning(place, world, Simulation(world.steps, chance, mishaps, workflows=[Certified]))
    job.start()
    return job
