"""The lessons of an enrollment: each opens when it is due, for as long as there is access (reference list 10.5)."""

import asyncio
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import VersioningBehavior
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.drips import DripActivities
    from models.errors import Reason, refusal
    from models.messages.jobs import JobState
    from models.messages.learning import (
        AdvanceDrip,
        ChangeEnrollment,
        DripOutcome,
        DripStart,
        DripStep,
        EnrollmentChanged,
        LessonRecorded,
        RecordLesson,
        WriteEnrollmentChange,
        WriteLesson,
    )
    from models.messages.tasks import DecideTask, TaskDecided
    from models.vocabulary import EnrollmentChange, EnrollmentStatus, Judgement, TaskAction, TaskKind, WaitingFor
    from workflows.certificate_start import start_certificate
    from workflows.desk import Desk, listed_so_far
    from workflows.human_tasks import HumanTasks
    from workflows.learning_mails import LearningMails
    from workflows.mailing import Outbox
    from workflows.policies import RECORD
    from workflows.shielding import to_its_end
    from workflows.waiting import LOOK_AGAIN, happened

# Where the record is not done with what was due, it is asked again without haste.
_AT_LEAST = timedelta(minutes=1)
_FOLLOWED = (EnrollmentStatus.ACTIVE, EnrollmentStatus.SUSPENDED)
_TO_THE_NEWEST_BUILD = workflow.ContinueAsNewVersioningBehavior.AUTO_UPGRADE


@workflow.defn(name="DripWorkflow", versioning_behavior=VersioningBehavior.PINNED)
class DripWorkflow:
    """One enrollment, one run at a time. The record says how it stands, so a run that starts afresh forgets nothing.

    What is due is done by the record, at the moment that this workflow's clock shows: it only sleeps until then.
    """

    @workflow.init
    def __init__(self, start: DripStart) -> None:
        self._start = start
        self._step: DripStep | None = None
        self._looked_at = workflow.now()
        # What somebody has told, or the clock, and how much of it the record has been asked about.
        self._news, self._heard = 1, 0
        self._is_stopped = self._was_woken = self._is_leaving = False
        self._is_certified = start.is_certified
        # One step at a time: local activities side by side need not replay, and none may undo what another has done.
        self._turn = asyncio.Lock()
        self._outbox = Outbox()
        self._mails = LearningMails(self._outbox, start.deferred)
        self._tasks = HumanTasks(self._outbox)
        self._judging: asyncio.Task[None] | None = None
        state, waiting_for, is_with_human = listed_so_far()
        self._desk = Desk(
            "Lessons",
            "The record is asked which lessons are open.",
            listed=(state, waiting_for),
            is_with_human=is_with_human,
            lists_due=False,
            can_do="`replan` has the record read at once.",
        )

    @workflow.run
    async def run(self, start: DripStart) -> DripOutcome:
        """Look what is due, sleep until something is, and look again, until nothing will happen by itself any more.

        A cancellation stops it, without a word to the record. Whoever has something to say starts it again.
        """
        is_over = await to_its_end(asyncio.create_task(self._tell_story()), self.stop)
        if not is_over:
            workflow.continue_as_new(self._handed_over(), initial_versioning_behavior=_TO_THE_NEWEST_BUILD)
        return DripOutcome(status=self._known.status)

    async def _tell_story(self) -> bool:
        """Whether it is over; if not, another run goes on with it."""
        await self._look_first()
        while True:
            if self._is_at_its_end:
                if await self._rests():
                    return True
            elif self._is_to_be_read:
                await self._look()
            elif self._leaves():
                if self._is_leaving:
                    return False
                self._is_leaving = True
                self._mails.leave()
            else:
                await self._sleep()

    # ---- the chapters ----

    async def _look_first(self) -> None:
        """An enrollment that there is not ends the job, once whoever asked about it has been told."""
        try:
            await self._look()
        except ActivityError:
            await workflow.wait_condition(workflow.all_handlers_finished)
            raise

    async def _look(self) -> None:
        """Have the record do what is due. A message that came first has brought the answer already."""
        async with self._turn:
            if not self._is_to_be_read:
                return
            heard, moment = self._news, workflow.now()
            step = await workflow.execute_local_activity_method(
                DripActivities.advance_drip,
                AdvanceDrip(enrollment_id=self._start.enrollment_id, moment=moment, workflow_id=self._workflow_id),
                summary="Open what is due",
                **RECORD,
            )
            self._heed(step, heard, moment)

    async def _sleep(self) -> None:
        """Until the next thing is due, or somebody says something, or another run has to go on."""
        until = self._wakes_at
        await happened(
            lambda: self._is_at_its_end or self._is_to_be_read or self._wakes_at != until or self._leaves(),
            until,
            summary="The next thing that is due",
        )
        self._was_woken = True
        if self._wakes_at == until and workflow.now() >= until:
            self._news += 1

    async def _rests(self) -> bool:
        """Whether it ends: nothing is on its way, and nobody has begun it again meanwhile."""
        self._stay()
        self._tell()
        await workflow.wait_condition(lambda: not self._is_at_its_end or self._is_quiet())
        self._tell()
        return self._is_at_its_end

    async def _judge(self) -> None:
        """Have it judged for as long as that is wanted: who is suspended meanwhile, or begins anew, is asked about
        again.
        """
        while self._wants_judgement:
            await self._ask_for_judgement()

    async def _ask_for_judgement(self) -> None:
        """Ask staff how it was, and write down what they say. It is moot once that is said elsewhere."""
        tasks = self._tasks
        await tasks.ask(
            TaskKind.COMPLETION_JUDGEMENT,
            "judgement",
            "Everything in the course is done: has it been completed? `approve` or `reject`.",
            (TaskAction.APPROVE, TaskAction.REJECT),
            subject=("enrollment", self._start.enrollment_id),
            when_open=lambda task_id: self._tell(),
            unless=lambda: not self._wants_judgement,
        )
        await tasks.withdraw()
        decided = tasks.decision("judgement")
        # Whoever begins the course anew is judged anew.
        self._tasks = HumanTasks(self._outbox)
        if decided is not None:
            judgement = Judgement.PASSED if decided.action is TaskAction.APPROVE else Judgement.FAILED
            written = await self._write_change(
                ChangeEnrollment(
                    change_id=decided.task_id,
                    enrollment_id=self._start.enrollment_id,
                    change=EnrollmentChange.JUDGE,
                    judgement=judgement,
                    actor=decided.actor,
                )
            )
            if written.refusal is not None:
                self._news += 1
                await self._look()
        self._tell()

    # ---- the record ----

    def _heed(self, step: DripStep, heard: int, moment: datetime) -> None:
        """What follows from a step. It has answered all that was told before it."""
        self._step, self._heard, self._looked_at = step, heard, moment
        self._mails.post(step.student_id, step.mails)
        if step.wants_certificate and not self._is_certified:
            self._outbox.post(start_certificate(self._start.enrollment_id))
        # Who is reset may complete it once more, and is due what they have not had yet; a revoked one is reinstated.
        self._is_certified = step.wants_certificate or (self._is_certified and step.is_completed)
        if self._wants_judgement and not self._is_judging:
            self._judging = asyncio.create_task(self._judge())
        self._tell()

    async def _write_change(self, wish: ChangeEnrollment) -> EnrollmentChanged:
        async with self._turn:
            heard, moment = self._news, workflow.now()
            changed = await workflow.execute_local_activity_method(
                DripActivities.change_enrollment,
                WriteEnrollmentChange(wish=wish, moment=moment, workflow_id=self._workflow_id),
                summary=f"Write down: {wish.change}",
                **RECORD,
            )
            if changed.step is not None:
                self._heed(changed.step, heard, moment)
            return changed

    # ---- what they share ----

    @property
    def _known(self) -> DripStep:
        assert self._step is not None  # noqa: S101 - asked after the first look alone
        return self._step

    @property
    def _workflow_id(self) -> str:
        return workflow.info().workflow_id

    @property
    def _is_to_be_read(self) -> bool:
        return self._heard < self._news

    @property
    def _wakes_at(self) -> datetime:
        wakes_at, at_last = self._known.wakes_at, self._looked_at + LOOK_AGAIN
        if wakes_at is None:
            return at_last
        return min(wakes_at, at_last) if wakes_at > self._looked_at else self._looked_at + _AT_LEAST

    @property
    def _is_at_its_end(self) -> bool:
        return self._is_stopped or (self._known.is_over and not self._is_to_be_read)

    @property
    def _wants_judgement(self) -> bool:
        step = self._step
        return step is not None and step.wants_judgement and not step.is_over and not self._is_stopped

    @property
    def _is_judging(self) -> bool:
        return self._judging is not None and not self._judging.done()

    def _is_quiet(self) -> bool:
        """Whether nothing is under way, but for what this run sleeps for."""
        return (
            self._outbox.is_empty
            and not self._is_judging
            and not self._turn.locked()
            and workflow.all_handlers_finished()
        )

    def _leaves(self) -> bool:
        """Whether another run should go on: this one is long, or its build is not the newest any more.

        Only once it has slept, so that each run gets something done. It has decided to leave then, and does so as soon
        as it has nothing in hand that the next one would not find, which asks for a judgement again and waits for the
        moments of mails. A mail server that is down holds up the next run, but no lesson.
        """
        if self._is_leaving:
            # A decision that was answered has to be written down first.
            is_judged = self._is_judging and (not self._wants_judgement or self._tasks.open_id is None)
            is_at_work = self._turn.locked() or not workflow.all_handlers_finished()
            return self._outbox.is_empty and not is_judged and not is_at_work
        info = workflow.info()
        is_due = info.is_continue_as_new_suggested() or info.is_target_worker_deployment_version_changed()
        return is_due and self._was_woken

    def _stay(self) -> None:
        """What comes to its end itself waits for its mails itself."""
        if self._is_leaving:
            self._is_leaving = False
            self._mails.stay(self._known.student_id)

    def _handed_over(self) -> DripStart:
        return DripStart(
            enrollment_id=self._start.enrollment_id,
            deferred=self._mails.deferred,
            is_certified=self._is_certified,
        )

    def _tell(self) -> None:
        step = self._step
        if step is None:
            return
        self._desk.status = step.status
        open_now = f"{step.released} of {step.lessons} lessons are open."
        due, task_id = step.wakes_at, self._tasks.open_id
        if self._is_stopped:
            told = "Stopped: the next message, say `replan`, starts it again, or the sweep once something is due."
            self._desk.tell(WaitingFor.NOTHING, f"{told} {open_now}")
        elif step.is_over and step.status not in _FOLLOWED:
            self._desk.tell(WaitingFor.NOTHING, f"Over: {step.status}. {open_now}")
        elif task_id is not None:
            told = f"Everything is done. Decide the task `{task_id}`: `approve` or `reject`."
            self._desk.tell(WaitingFor.REVIEWER, told, due_at=due, needs_human=True)
        elif step.status is EnrollmentStatus.SUSPENDED:
            self._desk.tell(WaitingFor.OPERATOR, f"Suspended: nothing opens until `change` reactivates it. {open_now}")
        elif step.is_paused:
            self._desk.tell(WaitingFor.TIMER, f"Paused: nothing opens until it goes on. {open_now}", due_at=due)
        elif due is None:
            told = "Nothing is due by itself: what the learner does, or staff, starts the job again."
            self._desk.tell(WaitingFor.LEARNER, f"{open_now} {told}")
        else:
            self._desk.tell(WaitingFor.LEARNER, f"{open_now} Something is due then.", due_at=due)

    # ---- messages ----

    @workflow.update(
        description="What became of a lesson, a booked hour or a meeting: {attempt_id: '<new uuid>', enrollment_id: "
        "'…', lesson_id: '…', outcome: 'completed', actor: 'staff:<id>'}"
    )
    async def record_lesson(self, told: RecordLesson) -> LessonRecorded:
        """Write it down, open what follows from it, and say how the enrollment stands."""
        self._is_stopped = False
        async with self._turn:
            heard, moment = self._news, workflow.now()
            recorded = await workflow.execute_local_activity_method(
                DripActivities.record_lesson,
                WriteLesson(told=told, moment=moment, workflow_id=self._workflow_id),
                summary="Write down what became of a lesson",
                **RECORD,
            )
            if recorded.step is not None:
                self._heed(recorded.step, heard, moment)
        if recorded.refusal is not None:
            raise _refused(recorded.refusal, recorded)
        return recorded

    @record_lesson.validator
    def _check_lesson(self, told: RecordLesson) -> None:
        self._check_enrollment(told)

    @workflow.update(
        description="Something about the enrollment is different from now on: {change_id: '<new uuid>', enrollment_id: "
        "'…', change: 'pause', until: '…', actor: 'staff:<id>'}"
    )
    async def change(self, wish: ChangeEnrollment) -> EnrollmentChanged:
        """Change it, do what follows from it, and say how the enrollment stands."""
        self._is_stopped = False
        changed = await self._write_change(wish)
        if changed.refusal is not None:
            raise _refused(changed.refusal, changed)
        return changed

    @change.validator
    def _check_change(self, wish: ChangeEnrollment) -> None:
        self._check_enrollment(wish)

    def _check_enrollment(self, told: RecordLesson | ChangeEnrollment) -> None:
        if told.enrollment_id != self._start.enrollment_id:
            raise refusal(Reason.NOT_FOUND, "This is not the job of that enrollment.")

    @workflow.update(description="Decide the open task: {task_id: '…', action: 'approve', actor: 'staff:<id>'}")
    async def decide(self, decision: DecideTask) -> TaskDecided:
        """Take what a person decided."""
        return await self._tasks.decide(decision)

    @decide.validator
    def _check_decision(self, decision: DecideTask) -> None:
        self._tasks.check(decision)

    @workflow.signal(description="Something that the plan depends on is different: look at the record")
    def replan(self) -> None:
        self._news += 1
        self._is_stopped = False

    @workflow.signal(description="Follow it no longer until the next message, or until the sweep finds it late")
    def stop(self) -> None:
        self._is_stopped = True

    @workflow.query(description="How many lessons are open, what happens next, and when")
    def status(self) -> JobState:
        return self._desk.state(self._tasks.open_id)


def _refused(reason: Reason, answer: LessonRecorded | EnrollmentChanged) -> ApplicationError:
    """The refusal of a step as its caller hears it, with the moment that it is about."""
    moment = () if answer.refusal_moment is None else (answer.refusal_moment.isoformat(),)
    return refusal(reason, answer.refusal_detail or "It was refused.", *moment)
