"""A tutor's application on a simulated clock: every way from the draft to the decision, and on to its erasure."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.client import WorkflowUpdateFailedError

from models.errors import Reason
from models.messages.applications import ApplicationOutcome, ApplicationRef, ByApplicant
from models.messages.tasks import DecideTask
from models.vocabulary import ApplicationStatus, DocumentVerdict, TaskAction, TaskKind, TaskQueue, WaitingFor
from rules.business_days import after_working_time
from tests.thoroughness import plays
from tests.workflows.application_world import (
    ADA,
    APPLICANT,
    APPLICATION_ID,
    BERLIN,
    BERT,
    DAY,
    REASONS,
    ApplicationWorld,
    Played,
    begun,
    in_review,
    reason_of,
)
from workflows.tutor_application import TutorApplicationWorkflow

DRAFT, SUBMITTED, IN_REVIEW, INFO_REQUESTED, INACTIVE, APPROVED, REJECTED_SOFT, REJECTED_HARD, WITHDRAWN, EXPIRED = (
    ApplicationStatus.DRAFT,
    ApplicationStatus.SUBMITTED,
    ApplicationStatus.IN_REVIEW,
    ApplicationStatus.INFO_REQUESTED,
    ApplicationStatus.INACTIVE,
    ApplicationStatus.APPROVED,
    ApplicationStatus.REJECTED_SOFT,
    ApplicationStatus.REJECTED_HARD,
    ApplicationStatus.WITHDRAWN,
    ApplicationStatus.EXPIRED,
)
RECEIVED = "application_received"
A_YEAR = timedelta(days=365)


def refused(call: Callable[[], object], reason: Reason) -> WorkflowUpdateFailedError:
    with pytest.raises(WorkflowUpdateFailedError) as failed:
        call()
    assert reason_of(failed.value) == reason
    return failed.value


def the_ref() -> ApplicationRef:
    return ApplicationRef(application_id=APPLICATION_ID, applicant_id=APPLICANT, actor=f"student:{APPLICANT}")


# ---- the draft ----


def test_an_application_is_drafted_sent_reviewed_and_approved() -> None:
    played = begun()
    world = played.world
    answer = played.run.update(TutorApplicationWorkflow.begin, the_ref(), with_start=True)
    assert getattr(answer, "status", None) is DRAFT
    assert (played.state.status, played.state.waiting_for) == (DRAFT, WaitingFor.APPLICANT)
    assert played.submit().status is SUBMITTED
    played.passes()
    assert (played.state.status, played.state.waiting_for, played.state.needs_human) == (
        IN_REVIEW,
        WaitingFor.REVIEWER,
        True,
    )
    [task] = world.open_tasks
    assert (task.kind, task.queue, task.assignee) == (TaskKind.TUTOR_REVIEW, TaskQueue.REVIEW, f"staff:{ADA}")
    assert (task.subject_kind, task.subject_id) == ("tutor_application", APPLICATION_ID)
    assert [key for key in world.mails if key[0] == ADA] == [(ADA, "application_assigned", f"{task.task_id}-1")]
    played.decide(TaskAction.APPROVE, reasons=())
    played.passes()
    assert played.outcome() == ApplicationOutcome(status=APPROVED)
    assert world.did == ["approve", "profile", "role", "platform"]
    assert world.is_shown
    assert world.letters == [RECEIVED, "application_approved"]
    assert world.erased_at is None


def test_a_refused_draft_leaves_nothing_and_says_why() -> None:
    played = begun(ApplicationWorld(refusal=Reason.REAPPLY_TOO_SOON))
    failure = refused(
        lambda: played.run.update(TutorApplicationWorkflow.begin, the_ref(), with_start=True), Reason.REAPPLY_TOO_SOON
    )
    assert "No." in str(failure.cause)
    played.passes()
    assert played.outcome() == ApplicationOutcome(refusal=Reason.REAPPLY_TOO_SOON)
    assert played.world.mails == {}


def test_what_is_missing_is_named_and_the_draft_stays() -> None:
    played = begun(ApplicationWorld(missing=("bio", "certification:spanish")))
    failure = refused(played.submit, Reason.APPLICATION_INCOMPLETE)
    assert tuple(getattr(failure.cause, "details", ())) == ("bio", "certification:spanish")
    assert played.state.status == DRAFT
    played.world.missing = ()
    assert played.submit().status is SUBMITTED
    assert played.submit().status in (SUBMITTED, IN_REVIEW), "sent again, it answers how it stands"
    played.passes()
    assert played.world.letters == [RECEIVED]


def test_a_forgotten_draft_is_nudged_twice_and_erased_after_ninety_days() -> None:
    played = begun()
    played.passes(91 * DAY)
    assert played.outcome() == ApplicationOutcome(status=EXPIRED, is_erased=True)
    world = played.world
    assert world.letters == [
        "application_draft_reminder:nudge-1",
        "application_draft_reminder:nudge-2",
        "application_closed:draft_expired",
    ]
    started = world.ended[DRAFT]
    nudges = [when - started for (_, template, _), when in world.mails.items() if "reminder" in template]
    assert [nudge // DAY for nudge in nudges] == [2, 7]
    assert world.erased_at is not None
    assert (world.erased_at - started) // DAY == 90


def test_a_draft_that_is_sent_at_the_last_moment_is_either_sent_or_expired() -> None:
    ends = set()
    for number in plays(60):
        played = begun(seed=number)
        played.passes(90 * DAY + timedelta(milliseconds=250 * number - 5000))
        try:
            played.submit()
        except WorkflowUpdateFailedError as failed:
            assert reason_of(failed) in (Reason.APPLICATION_OVER, None)  # noqa: PT017
        played.passes()
        assert played.world.status in (IN_REVIEW, EXPIRED)
        assert (RECEIVED in played.world.letters) == (played.world.status is IN_REVIEW)
        ends.add(played.world.status)
    assert ends == {IN_REVIEW, EXPIRED}


# ---- decisions ----


def test_a_soft_rejection_is_mailed_and_erased_a_year_later() -> None:
    played = in_review()
    refused(lambda: played.decide(TaskAction.REJECT_SOFT, reasons=()), Reason.REASONS_REQUIRED)
    played.decide(TaskAction.REJECT_SOFT)
    assert played.world.status is REJECTED_SOFT, "who has the answer finds it on record"
    played.passes(360 * DAY)
    world = played.world
    assert world.letters == [RECEIVED, "application_rejected"]
    assert (world.erased_at, played.state.waiting_for) == (None, WaitingFor.TIMER)
    played.run.cancel()
    refused(played.withdraw, Reason.APPLICATION_OVER)
    played.passes(6 * DAY)
    assert played.outcome() == ApplicationOutcome(status=REJECTED_SOFT, is_erased=True)
    assert world.erase_at is not None
    assert world.erased_at is not None
    assert timedelta() <= world.erased_at - world.erase_at < timedelta(minutes=1)
    assert world.erase_at == datetime(2027, 3, 2, tzinfo=UTC) + (
        world.ended[REJECTED_SOFT] - datetime(2026, 3, 2, tzinfo=UTC)
    )


def test_a_hard_rejection_needs_another_pair_of_eyes() -> None:
    played = in_review()
    played.decide(TaskAction.REJECT_HARD)
    assert played.world.status is IN_REVIEW
    played.passes()
    [task] = played.world.open_tasks
    assert (task.kind, task.queue) == (TaskKind.TUTOR_SECOND_OPINION, TaskQueue.REVIEW)
    assert task.allowed_actions == (TaskAction.APPROVE, TaskAction.REJECT)
    refused(lambda: played.decide(TaskAction.APPROVE, by=ADA), Reason.FOUR_EYES_REQUIRED)
    refused(lambda: played.decide(TaskAction.APPROVE, by=APPLICANT), Reason.OWN_APPLICATION)
    refused(lambda: played.assign(None), Reason.APPLICATION_NOT_IN_REVIEW)
    played.decide(TaskAction.APPROVE, by=BERT)
    assert played.world.status is REJECTED_HARD
    played.passes(2 * A_YEAR)
    assert played.outcome().status is REJECTED_HARD
    assert played.world.did == ["reject_hard", "second approve"]
    [first, second] = played.world.decisions.values()
    assert (second.seconds, second.outcome, first.reasons) == (first.task_id, REJECTED_HARD, REASONS)


def test_who_is_not_agreed_with_is_asked_again() -> None:
    played = in_review()
    played.decide(TaskAction.REJECT_HARD)
    played.decide(TaskAction.REJECT, by=BERT)
    played.passes()
    [task] = played.world.open_tasks
    assert (task.kind, task.assignee) == (TaskKind.TUTOR_REVIEW, f"staff:{ADA}")
    assert (ADA, "application_assigned", f"{task.task_id}-1") in played.world.mails
    played.decide(TaskAction.REJECT_SOFT)
    assert played.world.did == ["reject_hard", "second reject", "reject_soft"]


def test_an_approval_despite_a_rejected_document_is_an_override() -> None:
    played = in_review(ApplicationWorld(verdict=None))
    refused(lambda: played.decide(TaskAction.APPROVE), Reason.VERDICTS_MISSING)
    assert played.judge(DocumentVerdict.REJECTED).status is IN_REVIEW
    played.decide(TaskAction.APPROVE)
    played.passes()
    [task] = played.world.open_tasks
    assert task.kind is TaskKind.TUTOR_SECOND_OPINION
    assert not played.world.has_profile
    played.decide(TaskAction.APPROVE, by=BERT)
    played.passes()
    assert played.outcome().status is APPROVED


@pytest.mark.parametrize(
    ("by", "reason"), [(APPLICANT, Reason.OWN_APPLICATION), (APPLICATION_ID, Reason.NOT_A_REVIEWER)]
)
def test_not_everybody_may_review(by: object, reason: Reason) -> None:
    played = in_review()
    refused(lambda: played.decide(TaskAction.APPROVE, by=by), reason)  # type: ignore[arg-type]
    refused(lambda: played.judge(DocumentVerdict.ACCEPTED, by=by), reason)  # type: ignore[arg-type]
    refused(lambda: played.assign(BERT, by=by), reason)  # type: ignore[arg-type]
    assert (played.world.did, len(played.world.open_tasks)) == ([], 1)


def test_what_is_not_the_reviewers_turn_is_refused() -> None:
    played = begun()
    played.passes()
    refused(lambda: played.judge(DocumentVerdict.ACCEPTED), Reason.APPLICATION_NOT_IN_REVIEW)
    refused(lambda: played.assign(ADA), Reason.APPLICATION_NOT_IN_REVIEW)
    refused(played.answer, Reason.NO_INFO_REQUESTED)
    stray = DecideTask(task_id=APPLICATION_ID, action=TaskAction.APPROVE, actor=f"staff:{ADA}")
    with pytest.raises(WorkflowUpdateFailedError):
        played.run.update(TutorApplicationWorkflow.decide, stray)
    played.submit()
    played.simulation.run_until(lambda: bool(played.world.open_tasks))
    refused(played.answer, Reason.NO_INFO_REQUESTED)
    played.decide(TaskAction.REJECT_SOFT)
    refused(played.answer, Reason.APPLICATION_OVER)
    refused(lambda: played.assign(ADA), Reason.APPLICATION_NOT_IN_REVIEW)
    assert played.submit().status is REJECTED_SOFT, "it was sent, and this is what became of it"


def test_two_reviewers_at_once_have_one_winner() -> None:
    winners = set()
    for number in plays(60):
        played = in_review(seed=number)
        [task] = played.world.open_tasks
        # The second decision is on its way before the first one is answered.
        first, second = played.simulation.chance.sample((ADA, BERT), 2)
        actions = {ADA: TaskAction.REJECT_SOFT, BERT: TaskAction.REQUEST_INFO}
        told = []
        for who in (first, second):
            decision = DecideTask(task_id=task.task_id, action=actions[who], actor=f"staff:{who}", reasons=REASONS)
            told.append(played.run.send(TutorApplicationWorkflow.decide, decision))
        answers = [played.run.answered(update_id) for update_id in told]
        lost = [answer for answer in answers if isinstance(answer, WorkflowUpdateFailedError)]
        assert len(lost) == 1, number
        [decided] = played.world.decisions.values()
        assert played.world.closed[task.task_id].actor == decided.actor
        winners.add(decided.actor)
    assert len(winners) == 2


# ---- who looks after it ----


def test_nobody_is_there_until_somebody_takes_it() -> None:
    played = in_review(ApplicationWorld(present=[]))
    [task] = played.world.open_tasks
    assert (played.state.status, task.assignee) == (SUBMITTED, None)
    assert played.assign(ADA, by=ADA).status is IN_REVIEW
    played.passes()
    assert played.state.status == IN_REVIEW
    assert [who for who, template, _ in played.world.mails if template == "application_assigned"] == []
    assert played.assign(BERT).status is IN_REVIEW
    assert played.assign(None).status is SUBMITTED
    played.passes()
    told = [who for who, template, _ in played.world.mails if template == "application_assigned"]
    assert told == [BERT], "who takes it knows it already"
    played.decide(TaskAction.REJECT_SOFT)
    assert played.world.history == [DRAFT, SUBMITTED, IN_REVIEW, SUBMITTED, IN_REVIEW, REJECTED_SOFT]


# ---- the clock ----


@pytest.mark.parametrize(
    ("sent", "reminded", "lead", "head", "inactive"),
    [
        (
            "2026-10-19",
            "2026-10-22",
            "2026-10-26",
            "2026-10-29",
            "2026-11-30",
        ),  # the clock is turned back on 25 October
        ("2026-12-21", "2026-12-24", "2026-12-29", "2027-01-04", "2027-02-03"),  # Christmas, New Year
        (
            "2027-03-22",
            "2027-03-25",
            "2027-03-31",
            "2027-04-05",
            "2027-05-05",
        ),  # Easter, and on 28 March it is turned on
    ],
)
def test_forty_working_days_without_a_decision(sent: str, reminded: str, lead: str, head: str, inactive: str) -> None:
    def at_ten(day: str) -> datetime:
        return datetime.fromisoformat(f"{day}T10:00").replace(tzinfo=BERLIN)

    played = begun(at=at_ten(sent).astimezone(UTC) - timedelta(minutes=1))
    played.passes(timedelta(minutes=1))
    played.submit()
    played.passes(60 * DAY)
    world = played.world
    expected = {1: reminded, 2: lead, 3: head}
    assert [level for level, _ in world.escalated] == [1, 2, 3]
    for level, when in world.escalated:
        assert timedelta() <= when - at_ten(expected[level]).astimezone(UTC) < timedelta(minutes=1), level
    assert timedelta() <= world.ended[INACTIVE] - at_ten(inactive).astimezone(UTC) < timedelta(minutes=1)
    assert world.letters == [RECEIVED, "application_late:round-0"]
    assert (played.state.status, played.state.needs_human) == (INACTIVE, True)
    assert len(world.open_tasks) == 1, "it can still be decided"
    played.decide(TaskAction.APPROVE)
    played.passes()
    assert played.outcome().status is APPROVED


def test_what_nobody_decides_for_another_year_expires_and_is_told() -> None:
    played = in_review()
    played.passes(500 * DAY)
    assert played.world.history == [DRAFT, SUBMITTED, IN_REVIEW, INACTIVE, EXPIRED]
    assert played.world.letters == [RECEIVED, "application_late:round-0", "application_closed:inactive_expired"]
    assert [done.actor for done in played.world.closed.values()] == ["system"]
    played.passes(A_YEAR)
    assert played.outcome() == ApplicationOutcome(status=EXPIRED, is_erased=True)


def test_the_clock_stops_while_an_answer_is_owed() -> None:
    played = in_review(at=datetime(2026, 3, 2, 9, 0, tzinfo=UTC))
    played.until(datetime(2026, 3, 4, 9, 0, tzinfo=UTC))
    played.decide(TaskAction.REQUEST_INFO)
    played.until(datetime(2026, 3, 13, 9, 0, tzinfo=UTC))
    assert played.world.escalated == []
    assert played.answer().status in (SUBMITTED, IN_REVIEW)
    assert played.answer().status in (SUBMITTED, IN_REVIEW), "the same again is answered"
    played.passes(8 * DAY)
    [task] = played.world.open_tasks
    assert task.assignee == f"staff:{ADA}"
    assert timedelta(days=1.9) < timedelta(seconds=task.used_seconds) < timedelta(days=2.1)
    # Two working days had passed: the third ends on Monday, the fifth on Wednesday, and the eighth comes a week later.
    assert [(level, when.date().isoformat()) for level, when in played.world.escalated] == [
        (1, "2026-03-16"),
        (2, "2026-03-18"),
    ]


# ---- information rounds ----


def test_who_owes_an_answer_is_chased_and_expires() -> None:
    played = in_review()
    played.decide(TaskAction.REQUEST_INFO)
    asked_at = played.world.ended[INFO_REQUESTED]
    assert (played.state.status, played.world.rounds) == (INFO_REQUESTED, 1)
    played.passes(15 * DAY)
    world = played.world
    assert world.letters == [
        RECEIVED,
        "application_info_requested:round-1",
        "application_info_reminder:round-1-1",
        "application_info_reminder:round-1-2",
        "application_info_reminder:round-1-3",
        "application_closed:info_expired",
    ]
    chased = [when - asked_at for (_, template, _), when in world.mails.items() if template.endswith("info_reminder")]
    assert [after // DAY for after in chased] == [3, 7, 12]
    assert (world.ended[EXPIRED] - asked_at) // DAY == 14
    assert world.history[-1] is EXPIRED
    refused(played.answer, Reason.APPLICATION_OVER)


def test_an_answer_needs_what_is_missing_and_stops_the_chasing() -> None:
    played = in_review()
    played.decide(TaskAction.REQUEST_INFO)
    played.passes(4 * DAY)
    played.world.missing = ("identity",)
    failure = refused(played.answer, Reason.APPLICATION_INCOMPLETE)
    assert tuple(getattr(failure.cause, "details", ())) == ("identity",)
    played.world.missing = ()
    played.answer()
    played.passes(20 * DAY)
    assert played.world.letters[-1] == "application_info_reminder:round-1-1"
    assert played.state.status == IN_REVIEW


def test_information_is_asked_for_three_times_at_most() -> None:
    played = in_review()
    for number in (1, 2, 3):
        played.decide(TaskAction.REQUEST_INFO)
        played.passes()
        played.answer()
        played.simulation.run_until(lambda: bool(played.world.open_tasks))
        assert f"application_info_requested:round-{number}" in played.world.letters
    refused(lambda: played.decide(TaskAction.REQUEST_INFO), Reason.TOO_MANY_INFO_ROUNDS)
    played.decide(TaskAction.REJECT_SOFT)
    assert played.world.status is REJECTED_SOFT


def test_after_inactivity_a_question_starts_the_clock_anew() -> None:
    played = in_review()
    played.passes(50 * DAY)
    assert played.world.status is INACTIVE
    played.decide(TaskAction.REQUEST_INFO)
    played.passes()
    played.answer()
    played.passes()
    [task] = played.world.open_tasks
    assert task.used_seconds == 0
    played.decide(TaskAction.APPROVE)
    played.passes()
    assert played.outcome().status is APPROVED


# ---- leaving ----


def _drafted(played: Played) -> None:
    played.passes()


def _reviewed(played: Played) -> None:
    played.submit()
    played.simulation.run_until(lambda: bool(played.world.open_tasks))


def _asked(played: Played) -> None:
    _reviewed(played)
    played.decide(TaskAction.REQUEST_INFO)


def _doubted(played: Played) -> None:
    _reviewed(played)
    played.decide(TaskAction.REJECT_HARD)
    played.passes()


def _late(played: Played) -> None:
    _reviewed(played)
    played.passes(50 * DAY)


def _stuck(played: Played) -> None:
    _reviewed(played)
    played.world.refuses.add("tell_platform")
    played.decide(TaskAction.APPROVE)
    played.passes()


STAGES = [_drafted, Played.submit, _reviewed, _asked, _doubted, _late, _stuck]


@pytest.mark.parametrize("by", ["student", "operator"])
@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.__name__)
def test_it_can_be_withdrawn_at_any_stage(stage: Callable[[Played], object], by: str) -> None:
    played = begun()
    stage(played)
    if by == "student":
        assert played.withdraw().status is WITHDRAWN
        assert played.withdraw().status is WITHDRAWN if played.run.ended is None else True
    else:
        played.run.cancel()
    played.passes()
    world = played.world
    assert world.status is WITHDRAWN
    assert world.did[-1] == f"withdrawn by {by}"
    assert world.letters[-1] == "application_closed:withdrawn"
    assert (world.open_tasks, world.has_profile, world.is_tutor) == ([], False, False)
    played.passes(A_YEAR + DAY)
    assert played.outcome() == ApplicationOutcome(status=WITHDRAWN, is_erased=True)
    assert world.erased_at is not None
    assert (world.erased_at - world.ended[WITHDRAWN] > 364 * DAY) == (stage is not _drafted)


@pytest.mark.parametrize("by", ["student", "operator"])
def test_nobody_withdraws_while_it_is_being_approved(by: str) -> None:
    played = in_review(ApplicationWorld(is_down={"tell_platform"}))
    played.decide(TaskAction.APPROVE)
    played.passes()
    assert played.world.is_tutor
    if by == "student":
        refused(played.withdraw, Reason.APPLICATION_OVER)
        refused(lambda: played.judge(DocumentVerdict.REJECTED), Reason.APPLICATION_NOT_IN_REVIEW)
        refused(lambda: played.assign(BERT), Reason.APPLICATION_NOT_IN_REVIEW)
    else:
        played.run.cancel()
    played.passes()
    played.world.is_down.clear()
    played.passes()
    assert played.outcome().status is APPROVED
    assert played.world.did == ["approve", "profile", "role", "platform"]


def test_of_a_decision_and_a_withdrawal_at_once_one_counts() -> None:
    ends = set()
    for number in plays(80):
        played = in_review(seed=number)
        [task] = played.world.open_tasks
        decision = DecideTask(task_id=task.task_id, action=TaskAction.APPROVE, actor=f"staff:{ADA}")
        if number % 2:
            told = played.run.send(TutorApplicationWorkflow.decide, decision)
            with suppress(WorkflowUpdateFailedError):
                played.withdraw()
            played.run.answered(told)
        else:
            played.run.cancel()
            with suppress(WorkflowUpdateFailedError):
                played.run.update(TutorApplicationWorkflow.decide, decision)
        played.passes()
        world = played.world
        assert world.status in (WITHDRAWN, APPROVED), number
        assert (world.status is APPROVED) == world.is_shown == world.is_tutor == bool(world.decisions), number
        ends.add(world.status)
    assert ends == {WITHDRAWN, APPROVED}


def test_a_withdrawal_just_before_an_approval_is_answered_at_once() -> None:
    refusals = 0
    for number in plays(60):
        played = in_review(ApplicationWorld(is_down={"tell_platform"}), number)
        [task] = played.world.open_tasks
        decision = DecideTask(task_id=task.task_id, action=TaskAction.APPROVE, actor=f"staff:{ADA}")
        played.run.send(TutorApplicationWorkflow.decide, decision)
        played.passes(timedelta(milliseconds=300 * (number % 30)))
        wish = played.run.send(TutorApplicationWorkflow.withdraw, ByApplicant(actor=f"student:{APPLICANT}"))
        played.passes()
        assert wish.update_id in played.run.updates, number
        refusals += played.world.status is not WITHDRAWN
    assert refusals > len(plays(60)) / 6


def test_a_decision_at_the_moment_of_inactivity_counts() -> None:
    late = 0
    for number in plays(80):
        played = in_review(seed=number)
        started_at = played.world.clock_started_at
        assert started_at is not None
        inactive_at = after_working_time(started_at, 30 * DAY, BERLIN, "DE")
        played.until(inactive_at + timedelta(milliseconds=200 * number - 12_000))
        played.decide(TaskAction.REJECT_SOFT)
        played.passes()
        assert played.world.status is REJECTED_SOFT, number
        assert (played.state.status, played.run.ended) == (REJECTED_SOFT, None), number
        late += INACTIVE in played.world.history
    assert 0 < late < len(plays(80))
