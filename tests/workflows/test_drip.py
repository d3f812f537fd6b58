"""Lessons on a simulated clock: each opens once, when it is due, whatever people and machines do meanwhile."""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import cast
from uuid import UUID

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from models.drip import AfterLesson, AfterRegistration, Manual
from models.errors import Reason
from models.identifiers import certificate_workflow_id
from models.messages.jobs import JobState
from models.messages.learning import DripOutcome, RecordLesson
from models.messages.tasks import DecideTask
from models.vocabulary import (
    CompletionRule,
    DripUnit,
    EnrollmentChange,
    EnrollmentStatus,
    Judgement,
    MailTemplate,
    TaskAction,
    WaitingFor,
)
from rules.completion import wants_judgement
from rules.drip import LessonToPlan, due
from tests.thoroughness import parts, plays
from tests.workflows.drip_world import STAFF, START, Learning, course, learning, lesson
from tests.workflows.simulation import Mishaps
from workflows.drip import DripWorkflow

ACTIVE, COMPLETED, EXPIRED, SUSPENDED, CANCELED = (
    EnrollmentStatus.ACTIVE,
    EnrollmentStatus.COMPLETED,
    EnrollmentStatus.EXPIRED,
    EnrollmentStatus.SUSPENDED,
    EnrollmentStatus.CANCELED,
)
DAY = timedelta(days=1)


def after_days(amount: int) -> AfterRegistration:
    return AfterRegistration(amount=amount)


def after_lesson(number: int, days: int = 0) -> AfterLesson:
    return AfterLesson(lesson_id=lesson(number), amount=days)


def weekly(count: int) -> list[LessonToPlan]:
    """One lesson at once, and another each week."""
    return course(None, *(AfterRegistration(amount=week, unit=DripUnit.WEEKS) for week in range(1, count)))


def opened(job: Learning) -> list[str]:
    """When each lesson was opened, in order."""
    return [f"{moment:%m-%d %H:%M}" for moment in sorted(job.place.released.values())]


def state(job: Learning) -> JobState:
    return job.run.query(DripWorkflow.status)


def refused(failed: pytest.ExceptionInfo[WorkflowUpdateFailedError]) -> ApplicationError:
    assert isinstance(failed.value.cause, ApplicationError)
    return failed.value.cause


def is_whole(job: Learning) -> None:
    """Nothing went wrong, nothing due is missing, and every mail that was wanted went out once."""
    assert job.world.wrongs == []
    assert due(job.place.planned(job.simulation.now), job.simulation.now) == ()
    assert {mail.sent for mail in job.world.mails.values()} <= {1}
    assert job.place.to_tell.keys() & job.place.keys.keys() == set()


# ---- the story ----


def test_lessons_open_when_they_are_due_and_not_before() -> None:
    job = learning(weekly(4))
    job.wait(minutes=1)
    assert opened(job) == ["03-02 08:00"]
    told = state(job)
    assert (told.status, told.waiting_for) == (ACTIVE, WaitingFor.LEARNER)
    assert told.due_at == datetime(2026, 3, 9, 6, tzinfo=UTC)
    job.wait(days=30)
    assert opened(job) == ["03-02 08:00", "03-09 06:00", "03-16 06:00", "03-23 06:00"]
    assert job.world.sent(MailTemplate.LESSONS_RELEASED) == ["r-20260309t0900", "r-20260316t0900", "r-20260323t0900"]
    # One look for each opening, one for each mail, and one at the start.
    assert job.world.done == {"advance": 7}
    assert state(job).due_at is None
    is_whole(job)


def test_a_lesson_opens_with_the_answer_that_the_one_before_is_done() -> None:
    job = learning(course(None, after_lesson(0), after_lesson(1, days=2)))
    job.wait(minutes=1)
    answer = job.report(0)
    assert answer.opened == (lesson(1),)
    job.report(1)
    assert job.place.released.keys() == {lesson(0), lesson(1)}
    job.wait(days=3)
    assert opened(job)[2] == "03-04 06:00"
    assert job.report(2).is_course_complete
    # At the start, at the opening, and in both mornings to tell of what opened: never for a report.
    assert job.world.done["advance"] == 4
    is_whole(job)


def test_a_lesson_that_is_not_open_is_refused_with_its_date() -> None:
    job = learning(weekly(2))
    with pytest.raises(WorkflowUpdateFailedError) as failed:
        job.report(1)
    cause = refused(failed)
    assert (cause.type, cause.details) == (Reason.LESSON_NOT_OPEN, ("2026-03-09T06:00:00+00:00",))
    job.wait(days=8)
    assert job.report(1).step is not None


def test_who_has_done_everything_gets_a_certificate_once_and_the_job_is_over() -> None:
    job = learning(weekly(2))
    job.wait(days=8)
    job.report(0)
    assert job.certificates == 0
    job.report(1)
    job.wait(minutes=1)
    assert (job.certificates, job.run.result()) == (1, DripOutcome(status=COMPLETED))
    assert job.simulation.is_running(certificate_workflow_id(job.place.id))
    # One that has ended runs again for a message, and finds the certificate started.
    job.report(0)
    job.wait(minutes=1)
    assert (job.certificates, job.run.result()) == (1, DripOutcome(status=COMPLETED))
    is_whole(job)


def test_the_first_word_may_come_with_the_start() -> None:
    job = learning(course(None, after_lesson(0)))
    job.simulation.runs.clear()
    job.simulation._agenda.clear()
    assert job.report(0).opened == (lesson(0), lesson(1))
    job.wait(minutes=1)
    # The step that wrote it has looked at everything.
    assert job.world.done == {"record": 1}


def test_a_backdated_enrollment_opens_much_at_once_and_tells_it_in_one_mail() -> None:
    job = learning(weekly(20), begins_at=START - 69 * DAY)
    job.wait(days=1)
    assert (len(job.place.released), len(job.world.sent(MailTemplate.LESSONS_RELEASED))) == (11, 1)


def test_nothing_opens_before_a_start_that_is_to_come() -> None:
    job = learning(weekly(3), begins_at=START + 30 * DAY)
    job.wait(days=29)
    assert job.place.released == {}
    job.wait(days=2)
    assert opened(job) == ["04-01 08:00"]


def test_where_nothing_is_due_by_itself_no_job_waits_and_the_next_word_starts_one() -> None:
    job = learning(course(None, after_lesson(0, days=2)))
    job.wait(minutes=1)
    assert job.run.result() == DripOutcome(status=ACTIVE)
    told = state(job)
    assert (told.waiting_for, "starts the job again" in told.next_action) == (WaitingFor.LEARNER, True)
    job.simulation.build = 2
    job.report(0)
    assert job.run.build == 2
    job.wait(days=3)
    assert len(job.place.released) == 2
    job.change(EnrollmentChange.SUSPEND)
    job.wait(minutes=1)
    assert (job.run.result(), state(job).waiting_for) == (DripOutcome(status=SUSPENDED), WaitingFor.OPERATOR)
    is_whole(job)


def test_an_enrollment_that_there_is_not_ends_its_job_once_that_is_told() -> None:
    for seed in range(10):
        job = learning(course(None), str(seed))
        job.world.places.clear()
        with pytest.raises(WorkflowUpdateFailedError) as failed:
            job.run.update(DripWorkflow.record_lesson, _told(0), with_start=True)
        assert refused(failed).type == Reason.NOT_FOUND
        job.wait(minutes=5)
        assert job.run.ended is not None
        assert job.run.ended.HasField("fail_workflow_execution")
        assert job.world.done["advance"] == 1


# ---- changes ----


def test_a_pause_stands_still_and_ends_by_itself() -> None:
    job = learning(weekly(3))
    job.wait(days=3)
    job.change(EnrollmentChange.PAUSE, until=job.simulation.now + 10 * DAY)
    told = state(job)
    assert (told.waiting_for, told.due_at) == (WaitingFor.TIMER, job.place.until)
    with pytest.raises(WorkflowUpdateFailedError) as failed:
        job.report(0)
    assert refused(failed).type == Reason.ENROLLMENT_PAUSED
    job.wait(days=9)
    assert len(job.place.released) == 1
    job.wait(days=30)
    assert opened(job)[1:] == ["03-19 06:00", "03-26 06:00"]
    is_whole(job)


def test_who_comes_back_early_goes_on_at_once() -> None:
    job = learning(weekly(3))
    job.change(EnrollmentChange.PAUSE, until=job.simulation.now + 180 * DAY)
    job.wait(days=2)
    job.change(EnrollmentChange.RESUME)
    job.wait(days=30)
    assert opened(job)[1:] == ["03-12 06:00", "03-19 06:00"]


def test_suspended_nothing_opens_and_what_was_missed_opens_when_it_goes_on() -> None:
    job = learning(weekly(3))
    job.change(EnrollmentChange.SUSPEND)
    assert state(job).waiting_for is WaitingFor.OPERATOR
    job.wait(days=10)
    assert len(job.place.released) == 1
    job.change(EnrollmentChange.REACTIVATE)
    assert len(job.place.released) == 2
    job.wait(days=10)
    assert len(job.place.released) == 3
    is_whole(job)


def test_released_by_hand() -> None:
    job = learning(course(None, Manual()))
    job.wait(days=9)
    job.change(EnrollmentChange.RELEASE, lesson_ids=(lesson(1),))
    assert job.report(1).step is not None


def test_access_is_warned_of_ends_and_is_warned_of_anew_when_extended() -> None:
    job = learning(weekly(10), access_ends_at=START + 20 * DAY)
    job.wait(days=15)
    assert len(job.world.sent(MailTemplate.ACCESS_ENDING)) == 1
    job.change(EnrollmentChange.SET_ACCESS, access_ends_at=START + 40 * DAY)
    job.wait(days=23)
    assert len(job.world.sent(MailTemplate.ACCESS_ENDING)) == 2
    job.wait(days=5)
    assert len(job.world.sent(MailTemplate.ACCESS_ENDING)) == 3
    assert len(job.world.sent(MailTemplate.ACCESS_ENDED)) == 1
    assert (job.place.status, job.run.result()) == (EXPIRED, DripOutcome(status=EXPIRED))
    with pytest.raises(WorkflowUpdateFailedError) as failed:
        job.report(0)
    assert refused(failed).type == Reason.ENROLLMENT_EXPIRED
    # One that is extended afterwards runs again, and what was missed opens.
    job.change(EnrollmentChange.SET_ACCESS, access_ends_at=START + 90 * DAY)
    assert len(job.place.released) == 7
    job.wait(days=100)
    assert (len(job.place.released), job.place.status) == (10, EXPIRED)
    assert len(job.world.sent(MailTemplate.ACCESS_ENDED)) == 2
    is_whole(job)


def test_a_place_that_ends_ends_its_job_when_that_is_woken() -> None:
    job = learning(weekly(10))
    job.wait(days=9)
    job.place.status = CANCELED
    job.start()
    job.wait(minutes=1)
    assert job.run.result() == DripOutcome(status=CANCELED)
    job.wait(days=30)
    assert len(job.place.released) == 2


def test_a_lesson_that_is_added_opens_in_its_time_and_one_that_is_open_never_locks() -> None:
    job = learning(weekly(2))
    job.wait(days=8)
    later = [each if not each.released_at else LessonToPlan(**(vars(each) | {"rule": after_days(99)}))
             for each in job.place.lessons]  # fmt: skip
    job.edit([*later, *course(None, None, after_days(3), after_days(10))[2:]])
    job.wait(minutes=1)
    assert job.place.released.keys() == {lesson(0), lesson(1), lesson(2)}
    job.wait(days=4)
    assert job.place.released.keys() == {lesson(0), lesson(1), lesson(2), lesson(3)}
    is_whole(job)


def test_what_is_told_while_a_step_is_under_way_is_looked_at_afterwards() -> None:
    for seed in plays(30):
        job = learning(course(None), str(seed))
        job.wait(minutes=1)
        job.start()
        job.simulation.run_until(lambda job=job: job.world.done["advance"] == 2)  # type: ignore[misc]
        # The record has been read, and its answer is on its way.
        job.edit([*job.place.lessons, *course(None, None)[1:]])
        job.wait(minutes=1)
        assert job.place.released.keys() == {lesson(0), lesson(1)}, seed


# ---- judged by staff ----


@pytest.mark.parametrize(("action", "judgement"), [("approve", Judgement.PASSED), ("reject", Judgement.FAILED)])
def test_staff_judges_what_is_done(action: str, judgement: Judgement) -> None:
    job = learning(weekly(1), completion=CompletionRule.JUDGED)
    job.report(0)
    job.wait(minutes=1)
    told = state(job)
    assert (told.waiting_for, told.needs_human) == (WaitingFor.REVIEWER, True)
    job.judge(TaskAction(action))
    job.wait(minutes=1)
    assert job.place.judged == [judgement]
    assert job.certificates == (judgement is Judgement.PASSED)
    status = COMPLETED if judgement is Judgement.PASSED else ACTIVE
    assert (job.place.status, job.run.result()) == (status, DripOutcome(status=status))
    assert job.world.closed.keys() == job.world.tasks.keys()
    is_whole(job)


def test_what_was_judged_elsewhere_needs_no_decision_any_more() -> None:
    job = learning(weekly(1), completion=CompletionRule.JUDGED)
    job.report(0)
    job.wait(minutes=1)
    job.change(EnrollmentChange.JUDGE, judgement=Judgement.PASSED)
    job.wait(minutes=1)
    [closed] = job.world.closed.values()
    assert (closed.action, closed.actor) == (TaskAction.DISMISS, "system")
    assert (job.place.judged, job.run.result()) == ([Judgement.PASSED], DripOutcome(status=COMPLETED))


def test_another_run_asks_for_the_same_judgement() -> None:
    job = learning(weekly(1), completion=CompletionRule.JUDGED)
    job.report(0)
    job.wait(minutes=1)
    job.simulation.suggests_continuing = True
    for _ in range(3):
        job.start()
        job.wait(minutes=2)
    job.simulation.suggests_continuing = False
    job.judge(TaskAction.APPROVE)
    job.wait(minutes=1)
    assert (len(job.world.tasks), job.place.judged, job.place.status) == (1, [Judgement.PASSED], COMPLETED)
    assert job.certificates == 1


@pytest.mark.parametrize("seconds", [0, 30])
def test_who_comes_back_before_the_judgement_is_judged_all_the_same(seconds: int) -> None:
    for seed in range(20):
        job = learning(weekly(1), str(seed), completion=CompletionRule.JUDGED)
        job.report(0)
        job.wait(minutes=1)
        job.change(EnrollmentChange.SUSPEND)
        job.wait(seconds=seconds)
        job.change(EnrollmentChange.REACTIVATE)
        job.wait(minutes=5)
        job.judge(TaskAction.APPROVE)
        job.wait(minutes=5)
        assert (job.place.judged, job.place.status) == ([Judgement.PASSED], COMPLETED), seed


def test_who_begins_anew_is_judged_anew() -> None:
    job = learning(weekly(1), completion=CompletionRule.JUDGED)
    job.report(0)
    job.wait(minutes=1)
    job.judge(TaskAction.REJECT)
    job.wait(minutes=1)
    job.change(EnrollmentChange.RESET)
    job.wait(minutes=1)
    job.report(0)
    job.wait(minutes=1)
    job.judge(TaskAction.APPROVE)
    job.wait(minutes=1)
    assert job.place.judged == [Judgement.FAILED, Judgement.PASSED]
    assert (len(job.world.tasks), job.certificates, job.place.status) == (2, 1, COMPLETED)


def test_a_decision_that_was_answered_is_written_though_another_run_goes_on() -> None:
    taken = 0
    for seed in plays(60):
        job = learning(weekly(1), str(seed), completion=CompletionRule.JUDGED)
        job.report(0)
        job.wait(minutes=1)
        job.simulation.suggests_continuing = True
        [task_id] = job.world.tasks.keys() - job.world.closed.keys()
        run = job.run
        job.start()
        decision = DecideTask(task_id=task_id, action=TaskAction.APPROVE, actor=STAFF)
        sent = run.send(DripWorkflow.decide, decision)
        for _ in range(6):
            job.simulation.run_for(timedelta(milliseconds=7 * (seed % 7)))
            job.start()
        is_taken = not isinstance(run.answered(sent), WorkflowUpdateFailedError)
        job.simulation.suggests_continuing = False
        job.wait(minutes=5)
        assert job.place.judged or not is_taken, seed
        taken += is_taken
    assert taken > len(plays(60)) / 6


# ---- stopped, continued ----


@pytest.mark.parametrize("word", ["signal", "cancellation"])
def test_stopped_by_an_operator_it_leaves_the_record_alone_until_somebody_speaks(word: str) -> None:
    job = learning(weekly(5))
    job.wait(days=3)
    if word == "signal":
        job.run.signal(DripWorkflow.stop)
    else:
        job.run.cancel()
    job.wait(minutes=1)
    assert "Stopped" in state(job).next_action
    assert job.run.result() == DripOutcome(status=ACTIVE)
    job.wait(days=14)
    assert (len(job.place.released), job.place.status) == (1, ACTIVE)
    job.report(0)
    job.wait(days=30)
    assert len(job.place.released) == 5
    is_whole(job)


def test_a_long_run_goes_on_as_another_and_forgets_nothing() -> None:
    job = learning(weekly(10), access_ends_at=START + 80 * DAY)
    job.simulation.suggests_continuing = True
    first = job.run
    job.wait(days=40)
    assert first.successor is not None
    job.simulation.suggests_continuing = False
    job.report(0)
    job.wait(days=50)
    assert (len(job.place.released), job.place.status) == (10, EXPIRED)
    assert len(job.world.sent(MailTemplate.LESSONS_RELEASED)) == 9
    is_whole(job)


def test_whoever_speaks_to_one_that_was_stopped_and_waits_for_a_mail_begins_it_again() -> None:
    job = learning(weekly(6))
    job.world.may_mail_at = START + 30 * DAY
    job.wait(days=7, hours=2)
    job.run.signal(DripWorkflow.stop)
    job.wait(minutes=5)
    stopped = job.run
    assert stopped.ended is None
    assert "Stopped" in state(job).next_action
    job.report(0)
    job.wait(days=8)
    assert (job.run is stopped, len(job.place.released)) == (True, 3)
    job.run.signal(DripWorkflow.stop)
    job.start()
    job.wait(days=7)
    assert len(job.place.released) == 4
    job.wait(days=30)
    is_whole(job)


def test_no_build_has_to_stay_for_longer_than_a_month() -> None:
    far = learning(course(None, after_days(300)))
    judged = learning(weekly(1), completion=CompletionRule.JUDGED)
    judged.report(0)
    for job in (far, judged):
        job.wait(days=1)
        job.simulation.build = 2
        job.wait(days=30)
        assert job.run.build == 2
    [task_id] = judged.world.tasks
    assert state(judged).task_id == task_id
    far.wait(days=300)
    # Once a month, at its opening, and to tell of it.
    assert (len(far.place.released), far.world.done["advance"]) == (2, 1 + 9 + 2 + 1)
    is_whole(far)


def test_it_wakes_up_on_the_newest_build() -> None:
    job = learning(weekly(3))
    job.wait(days=1)
    job.simulation.build = 2
    job.wait(days=7)
    assert job.run.build == 2
    job.wait(days=30)
    assert len(job.place.released) == 3


def test_a_mail_that_waits_for_its_moment_goes_out_in_the_next_run() -> None:
    job = learning(weekly(3))
    job.world.may_mail_at = START + 8 * DAY
    job.wait(days=7, hours=2)
    assert job.world.sent(MailTemplate.LESSONS_RELEASED) == []
    first, job.simulation.suggests_continuing = job.run, True
    job.report(0)
    job.wait(minutes=10)
    job.simulation.suggests_continuing = False
    assert first.successor is not None
    job.wait(days=1)
    assert job.world.sent(MailTemplate.LESSONS_RELEASED) == ["r-20260309t0900"]
    is_whole(job)


def test_a_mail_server_that_is_down_holds_up_no_lesson() -> None:
    job = learning(weekly(5))
    job.world.is_mail_down = job.simulation.suggests_continuing = True
    job.wait(days=29)
    assert len(job.place.released) == 5
    job.world.is_mail_down = False
    job.wait(days=1)
    assert len(job.world.sent(MailTemplate.LESSONS_RELEASED)) == 4
    is_whole(job)


def test_what_is_woken_between_two_openings_does_not_lose_its_alarm() -> None:
    job = learning(weekly(5))
    for _ in range(100):
        job.wait(hours=7)
        job.start()
    assert len(job.place.released) == 5
    is_whole(job)


# ---- anything at any time ----

WAYS = (TaskAction.APPROVE, TaskAction.REJECT)
CHANGES = (
    EnrollmentChange.PAUSE,
    EnrollmentChange.RESUME,
    EnrollmentChange.RELEASE,
    EnrollmentChange.SUSPEND,
    EnrollmentChange.REACTIVATE,
    EnrollmentChange.MOVE_START,
    EnrollmentChange.SET_ACCESS,
    EnrollmentChange.RESET,
    EnrollmentChange.JUDGE,
)


def _play(seed: str, mishaps: Mishaps) -> tuple[Learning, Counter[str]]:
    """Some months with a learner, staff and machines who do as they please."""
    chance = random.Random(seed)  # noqa: S311 - the same course every time
    hours = AfterRegistration(amount=30, unit=DripUnit.HOURS)
    rules = [None, after_days(3), after_lesson(0, 1), after_lesson(1), hours, after_lesson(3, 5), after_days(20),
             Manual()]  # fmt: skip
    ends_at = START + chance.randrange(20, 200) * DAY if chance.random() < 0.5 else None
    completion = chance.choice((CompletionRule.COMPLETE_ALL, CompletionRule.JUDGED))
    rules = rules if completion is CompletionRule.COMPLETE_ALL else rules[:2]
    job = learning(course(*rules), seed, mishaps, access_ends_at=ends_at, completion=completion)
    happened = Counter[str]()
    for _ in range(chance.randrange(15, 40)):
        job.simulation.suggests_continuing = chance.random() < 0.2
        job.simulation.build += chance.random() < 0.1
        job.world.is_mail_down = chance.random() < 0.1
        job.world.may_mail_at = job.simulation.now + timedelta(hours=chance.choice((0, 0, 9, 20)))
        what = chance.choice(
            ("wait", "wait", "report", "report", "report", "change", "edit", "wake", "stop", "cancel", "judge", "judge")
        )
        happened[what] += 1
        try:
            match what:
                case "report":
                    job.report(chance.randrange(len(rules)), chance.choice((None, chance.randrange(3))))
                case "change":
                    _change(job, chance)
                case "edit":
                    _edit(job, chance)
                case "wake":
                    job.start()
                case "stop":
                    if chance.random() < 0.3:
                        job.run.signal(DripWorkflow.stop)
                case "cancel":
                    if chance.random() < 0.2:
                        job.run.cancel()
                case "judge":
                    happened["judged"] += _judge(job, chance)
        except WorkflowUpdateFailedError as failed:
            happened[str(cast(ApplicationError, failed.cause).type)] += 1
        job.simulation.run_for(timedelta(minutes=chance.choice((0, 0, 1, 30, 600, 6000))))
    job.simulation.suggests_continuing, job.world.is_mail_down = False, False
    return job, happened


def _change(job: Learning, chance: random.Random) -> None:
    now = job.simulation.now
    job.change(
        chance.choice(CHANGES),
        until=now + chance.randrange(1, 60) * DAY,
        lesson_ids=(lesson(chance.randrange(len(job.place.lessons))),),
        starts_at=START + chance.randrange(-10, 30) * DAY,
        access_ends_at=now + chance.randrange(1, 100) * DAY if chance.random() < 0.5 else None,
        judgement=chance.choice(tuple(Judgement)),
    )


def _judge(job: Learning, chance: random.Random) -> bool:
    """Decide what is asked, if anything is; what was answered is written down."""
    for task_id in job.world.tasks.keys() - job.world.closed.keys():
        decision = DecideTask(task_id=task_id, action=chance.choice(WAYS), actor=STAFF)
        answer = job.run.answered(job.run.send(DripWorkflow.decide, decision))
        if not isinstance(answer, WorkflowUpdateFailedError):
            job.wait(days=1)
            assert task_id in job.place.changes
            return True
    return False


def _edit(job: Learning, chance: random.Random) -> None:
    edited = lesson(chance.randrange(1, len(job.place.lessons)))
    if chance.random() < 0.5:
        job.place.revise(edited, rule=after_days(chance.randrange(60)))
    else:
        job.place.revise(edited, is_gone=chance.random() < 0.5)
    job.start()


@pytest.mark.parametrize("part", parts(2, 4))
def test_whatever_happens_nothing_opens_early_twice_or_never(part: int) -> None:
    happened, ends = Counter[str](), Counter[EnrollmentStatus]()
    for number in range(30):
        seed = f"{part}-{number}"
        job, also = _play(seed, Mishaps(answer_lost=0.1, worker_away=0.05))
        happened += also
        # The sweep finds whoever was stopped.
        job.start()
        job.wait(days=3)
        is_whole(job)
        assert job.world.wrongs == [], seed
        is_asked = bool(job.world.tasks.keys() - job.world.closed.keys())
        results, place = job.place.results, job.place
        wants = place.status is ACTIVE and wants_judgement(place.completion, results, place.judgement)
        assert is_asked is wants, seed
        ends[job.place.status] += 1
        job.wait(days=400)
        is_whole(job)
        assert job.certificates == (job.place.completed_at is not None), seed
        assert job.run.task_failures == [], seed
        told = job.world.sent(MailTemplate.LESSONS_RELEASED)
        assert set(told) == set(job.place.keys.values()), seed
        if job.place.status in (EXPIRED, CANCELED):
            assert job.run.ended is not None, seed
    assert {ACTIVE, SUSPENDED} <= ends.keys()
    assert min(happened[each] for each in ("report", "change", "edit", Reason.LESSON_NOT_OPEN)) > 20
    assert happened["judged"]


def test_messages_that_come_together_are_written_one_after_the_other() -> None:
    """Each sees what the one before has opened, if it comes after it."""
    for seed in plays(50):
        job = learning(course(None, after_lesson(0), after_lesson(1), after_days(9)), str(seed))
        job.wait(minutes=1)
        first, run = job.simulation.chance.randrange(3), job.run
        sent = [run.send(DripWorkflow.record_lesson, _told(number)) for number in (0, 1, 2)]
        answers = [run.answered(each) for each in sent]
        job.wait(minutes=first)
        assert job.world.wrongs == []
        assert not isinstance(answers[0], WorkflowUpdateFailedError)
        assert job.place.released.keys() >= {lesson(0), lesson(1)}


def _told(number: int) -> RecordLesson:
    return RecordLesson(
        attempt_id=UUID(int=number + 1), enrollment_id=UUID(int=1), lesson_id=lesson(number), is_finished=True,
        actor="student:7",
    )  # fmt: skip
