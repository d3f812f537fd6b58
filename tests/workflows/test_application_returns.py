"""An application that comes back: not agreed to, not carried out, handed on, late, or begun anew after a reset."""

from collections.abc import Callable
from datetime import timedelta
from typing import cast
from uuid import UUID

import pytest
from dateutil.relativedelta import relativedelta
from temporalio.client import WorkflowUpdateFailedError

from models.errors import Reason
from models.messages.tasks import DecideTask
from models.vocabulary import ApplicationStatus, DocumentVerdict, TaskAction, TaskKind
from tests.thoroughness import plays
from tests.workflows.application_world import (
    ADA,
    BERT,
    CLEO,
    DAY,
    REASONS,
    ApplicationWorld,
    Played,
    begun,
    in_review,
    reason_of,
)
from workflows.tutor_application import TutorApplicationWorkflow

S = ApplicationStatus
LATE, CLOSED = "application_late:round-0", "application_closed:inactive_expired"


def details_of(played: Played) -> str:
    """What the Web UI shows of the job."""
    return cast(str, played.run.instance._current_details)  # type: ignore[attr-defined]


def told_of(played: Played, reviewer_id: UUID) -> int:
    """How many mails the reviewer got."""
    return sum(who == reviewer_id for who, template, _ in played.world.mails if template == "application_assigned")


# ---- at the door ----


def _drafted(played: Played) -> None:
    played.passes()


def _sent(played: Played) -> None:
    played.submit()
    played.simulation.run_until(lambda: bool(played.world.open_tasks))
    played.passes()


def _rejected(played: Played) -> None:
    _sent(played)
    played.decide(TaskAction.REJECT_SOFT)
    played.passes()


def _in_doubt(played: Played) -> None:
    _sent(played)
    played.decide(TaskAction.REJECT_HARD)
    played.passes()


def _being_approved(played: Played) -> None:
    played.world.is_down.add("tell_platform")
    _sent(played)
    played.decide(TaskAction.APPROVE)
    played.passes()


def _judge(played: Played) -> object:
    return played.judge(DocumentVerdict.REJECTED)


def _assign(played: Played) -> object:
    return played.assign(BERT)


@pytest.mark.parametrize(
    ("stage", "update", "reason"),
    [
        (_drafted, Played.answer, Reason.NO_INFO_REQUESTED),
        (_drafted, _judge, Reason.APPLICATION_NOT_IN_REVIEW),
        (_drafted, _assign, Reason.APPLICATION_NOT_IN_REVIEW),
        (_sent, Played.answer, Reason.NO_INFO_REQUESTED),
        (_in_doubt, _assign, Reason.APPLICATION_NOT_IN_REVIEW),
        (_being_approved, Played.withdraw, Reason.APPLICATION_OVER),
        (_being_approved, _judge, Reason.APPLICATION_NOT_IN_REVIEW),
        (_being_approved, _assign, Reason.APPLICATION_NOT_IN_REVIEW),
        (_rejected, Played.answer, Reason.APPLICATION_OVER),
        (_rejected, Played.withdraw, Reason.APPLICATION_OVER),
        (_rejected, _judge, Reason.APPLICATION_NOT_IN_REVIEW),
        (_rejected, _assign, Reason.APPLICATION_NOT_IN_REVIEW),
    ],
)
def test_what_cannot_count_is_no_update_of_the_run(
    stage: Callable[[Played], None], update: Callable[[Played], object], reason: Reason
) -> None:
    played = begun()
    stage(played)
    accepted = len(played.run.accepted)
    for _ in range(3):
        with pytest.raises(WorkflowUpdateFailedError) as failed:
            update(played)
        assert reason_of(failed.value) == reason
    assert len(played.run.accepted) == accepted


# ---- back to the reviewers ----


@pytest.mark.parametrize(
    ("present", "decides", "expected"),
    [
        ([ADA, BERT], BERT, BERT),  # who decided hears of it, although another one had it
        ([ADA, BERT], CLEO, ADA),  # an admin who is not on the list
        ([BERT], ADA, BERT),  # who decided went away meanwhile
        ([], ADA, ADA),  # nobody is there: it stays where it is
    ],
)
def test_the_task_the_mail_and_the_record_name_the_same_reviewer(
    present: list[UUID], decides: UUID, expected: UUID
) -> None:
    played = in_review()
    played.decide(TaskAction.REJECT_HARD, by=decides)
    played.world.present = present
    played.passes()
    played.decide(TaskAction.REJECT, by=BERT if decides != BERT else ADA)
    played.passes()
    [task] = played.world.open_tasks
    assert (task.kind, task.assignee) == (TaskKind.TUTOR_REVIEW, f"staff:{expected}")
    assert played.world.reviewer_id == expected
    assert any(who == expected and str(task.task_id) in occasion for who, _, occasion in played.world.mails)


def test_a_forgery_that_is_found_while_support_mends_stops_the_approval() -> None:
    played = in_review(ApplicationWorld(refuses={"tell_platform"}))
    world = played.world
    played.decide(TaskAction.APPROVE)
    played.passes()
    played.judge(DocumentVerdict.REJECTED, by=BERT)
    world.refuses.clear()
    played.decide(TaskAction.RETRY, by=CLEO)
    played.passes()
    assert (world.status, world.is_tutor, world.has_profile) == (S.IN_REVIEW, False, False)
    [task] = world.open_tasks
    assert (task.kind, task.assignee) == (TaskKind.TUTOR_REVIEW, f"staff:{ADA}")
    assert played.judge(DocumentVerdict.REJECTED, by=BERT).status is S.IN_REVIEW
    # Approved nevertheless, and agreed to: then it may be tried again.
    world.refuses.add("tell_platform")
    played.decide(TaskAction.APPROVE)
    played.decide(TaskAction.APPROVE, by=BERT)
    played.passes()
    world.refuses.clear()
    played.decide(TaskAction.RETRY, by=CLEO)
    played.passes()
    assert played.outcome().status is S.APPROVED


def test_who_gets_the_same_task_back_is_told_again() -> None:
    played = in_review()
    played.passes()
    assert (told_of(played, ADA), told_of(played, BERT)) == (1, 0)
    for reviewer_id in (BERT, BERT, ADA, BERT):
        played.assign(reviewer_id)
    played.passes()
    assert (told_of(played, ADA), told_of(played, BERT)) == (2, 2)


# ---- late ----


def test_the_open_task_stays_pinned_and_its_wait_begins_once() -> None:
    played = in_review()
    played.passes()
    [task] = played.world.open_tasks
    since = played.state.since
    played.assign(None)
    assert f"Task `{task.task_id}`" in details_of(played)
    assert "· submitted" in details_of(played)
    played.passes(60 * DAY)
    assert f"Task `{task.task_id}`" in details_of(played)
    assert "· inactive" in details_of(played)
    assert details_of(played).count("Task `") == 1
    assert (played.state.status, played.state.since) == (S.INACTIVE, since)


def test_whoever_is_late_twice_says_so_twice() -> None:
    played = in_review()
    played.passes(60 * DAY)
    played.decide(TaskAction.REQUEST_INFO)
    played.passes()
    played.answer()
    played.passes(60 * DAY)
    assert [letter for letter in played.world.letters if "late" in letter] == [LATE, "application_late:round-1"]


def test_what_is_approved_is_not_late_until_it_comes_back() -> None:
    played = in_review(ApplicationWorld(refuses={"tell_platform"}))
    world = played.world
    played.decide(TaskAction.APPROVE)
    played.passes(500 * DAY)
    assert [task.kind for task in world.open_tasks] == [TaskKind.TUTOR_PROVISIONING_FAILED]
    assert (world.status, LATE in world.letters) == (S.IN_REVIEW, False)
    played.decide(TaskAction.REJECT, by=CLEO)
    played.passes()
    assert (world.status, LATE in world.letters) == (S.INACTIVE, True)
    assert [task.kind for task in world.open_tasks] == [TaskKind.TUTOR_REVIEW]
    played.passes(370 * DAY)
    assert world.letters[-1] == CLOSED


def test_what_is_approved_at_last_does_not_expire_while_support_mends() -> None:
    played = in_review(ApplicationWorld(refuses={"tell_platform"}))
    played.passes(60 * DAY)
    played.decide(TaskAction.APPROVE)
    played.passes(500 * DAY)
    played.world.refuses.clear()
    played.decide(TaskAction.RETRY, by=CLEO)
    played.passes()
    assert played.outcome().status is S.APPROVED


@pytest.mark.parametrize("action", [TaskAction.REQUEST_INFO, TaskAction.REJECT_HARD])
def test_a_decision_at_the_moment_of_expiry_counts_or_is_refused(action: TaskAction) -> None:
    ends = set()
    for number in plays(60):
        played = in_review(seed=number)
        world = played.world
        [task] = world.open_tasks
        played.passes(60 * DAY)
        expires_at = world.ended[S.INACTIVE] + relativedelta(months=12)
        played.until(expires_at + timedelta(milliseconds=100 * number - 5000))
        decision = DecideTask(task_id=task.task_id, action=action, actor=f"staff:{ADA}", reasons=REASONS)
        answer = played.run.answered(played.run.send(TutorApplicationWorkflow.decide, decision))
        is_taken = not isinstance(answer, WorkflowUpdateFailedError)
        played.passes()
        assert is_taken == bool(world.decisions), number
        expected = S.INFO_REQUESTED if action is TaskAction.REQUEST_INFO else S.INACTIVE
        assert world.status is (expected if is_taken else S.EXPIRED), number
        ends.add(is_taken)
        if action is TaskAction.REJECT_HARD and is_taken:
            played.passes(300 * DAY)
            assert [task.kind for task in world.open_tasks] == [TaskKind.TUTOR_SECOND_OPINION]
            played.passes(100 * DAY)
            assert world.status is S.EXPIRED, "nobody waits for ever"
    assert ends == {True, False}


# ---- after a reset ----


def _owed(played: Played) -> None:
    played.decide(TaskAction.REQUEST_INFO)


def _resting(played: Played) -> None:
    played.passes(60 * DAY)


def _turned_down(played: Played) -> None:
    played.decide(TaskAction.REJECT_SOFT)


def _withdrawn(played: Played) -> None:
    played.withdraw()


@pytest.mark.parametrize(
    ("reaches", "status", "letter"),
    [
        (_owed, S.INFO_REQUESTED, "application_closed:info_expired"),
        (_resting, S.INACTIVE, CLOSED),
        (_turned_down, S.REJECTED_SOFT, "application_rejected"),
        (_withdrawn, S.WITHDRAWN, "application_closed:withdrawn"),
    ],
)
def test_a_run_that_is_begun_anew_goes_on_where_the_record_stands(
    reaches: Callable[[Played], None], status: ApplicationStatus, letter: str
) -> None:
    before = in_review()
    world = before.world
    reaches(before)
    before.passes()
    world.closed |= {task.task_id: world.closed.get(task.task_id) for task in world.open_tasks}  # type: ignore[misc]
    history = list(world.history)
    anew = begun(world, at=before.simulation.now)
    anew.submit()
    anew.passes()
    assert (world.status, world.history) == (status, history)
    assert anew.state.status == status
    anew.passes(800 * DAY)
    assert letter in world.letters
    assert world.letters.count(LATE) == (status is S.INACTIVE)
    assert (world.erased_at is not None, anew.outcome().is_erased) == (True, True)
    assert world.erase_at is not None
    assert world.erased_at is not None
    assert world.erased_at - world.erase_at < timedelta(minutes=1)
