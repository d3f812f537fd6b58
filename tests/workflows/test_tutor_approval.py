"""The approval of a tutor on a simulated clock: all of it or nothing, whatever fails, gets lost or is cancelled."""

import random
from collections import Counter
from contextlib import suppress
from datetime import timedelta

import pytest
from temporalio.client import WorkflowUpdateFailedError

from models.messages.tasks import DecideTask
from models.vocabulary import ApplicationStatus, DocumentVerdict, TaskAction, TaskKind, TaskQueue
from rules.tutor_application import LIVE, REJECTED
from tests.thoroughness import parts, plays
from tests.workflows.application_world import (
    ADA,
    APPLICANT,
    BERT,
    CLEO,
    DAY,
    HOUR,
    REASONS,
    SAGA,
    ApplicationWorld,
    Played,
    begun,
    in_review,
)
from tests.workflows.simulation import Mishaps
from workflows.tutor_application import TutorApplicationWorkflow

APPROVED, WITHDRAWN, EXPIRED = ApplicationStatus.APPROVED, ApplicationStatus.WITHDRAWN, ApplicationStatus.EXPIRED
RUNS_OF_A_TEST = 75
_DONE = ["profile", "role", "platform"]
_TAKEN_BACK = {
    "upsert_profile": [],
    "grant_role": ["profile", "no profile"],
    "tell_platform": ["profile", "role", "no role", "no profile"],
    "complete_approval": ["profile", "role", "platform", "no role", "no profile"],
}


@pytest.mark.parametrize("step", SAGA)
def test_a_step_that_is_refused_takes_back_what_was_done_in_reverse_and_can_be_tried_again(step: str) -> None:
    played = in_review(ApplicationWorld(refuses={step}))
    world = played.world
    played.decide(TaskAction.APPROVE)
    played.passes()
    assert world.did == ["approve", *_TAKEN_BACK[step]]
    [task] = world.open_tasks
    assert (task.kind, task.queue) == (TaskKind.TUTOR_PROVISIONING_FAILED, TaskQueue.SUPPORT)
    assert task.allowed_actions == (TaskAction.RETRY, TaskAction.REJECT)
    assert (world.status, world.letters) == (ApplicationStatus.IN_REVIEW, ["application_received"])
    played.decide(TaskAction.RETRY, by=CLEO)
    played.passes()
    assert len(world.open_tasks) == 1, "it is refused again, and asked about again"
    world.refuses.clear()
    world.did.clear()
    played.decide(TaskAction.RETRY, by=CLEO)
    played.passes()
    assert played.outcome().status is APPROVED
    assert world.did == _DONE
    assert world.letters == ["application_received", "application_approved"]


def test_a_platform_that_says_nothing_for_a_day_is_a_persons_concern() -> None:
    played = in_review(ApplicationWorld(is_down={"tell_platform"}))
    played.decide(TaskAction.APPROVE)
    played.passes(23 * HOUR)
    assert (played.world.open_tasks, played.world.is_tutor) == ([], True)
    played.passes(2 * HOUR)
    assert [task.kind for task in played.world.open_tasks] == [TaskKind.TUTOR_PROVISIONING_FAILED]
    assert (played.world.is_tutor, played.world.has_profile) == (False, False)


def test_reviewers_decide_again_if_support_gives_it_back() -> None:
    played = in_review(ApplicationWorld(refuses={"tell_platform"}))
    played.decide(TaskAction.APPROVE)
    played.passes()
    played.decide(TaskAction.REJECT, by=CLEO)
    played.passes()
    [task] = played.world.open_tasks
    assert (task.kind, task.assignee) == (TaskKind.TUTOR_REVIEW, f"staff:{ADA}")
    played.decide(TaskAction.REJECT_SOFT)
    assert played.world.status is ApplicationStatus.REJECTED_SOFT


def test_what_cannot_be_taken_back_holds_everything_else_up() -> None:
    played = in_review(ApplicationWorld(refuses={"tell_platform"}, is_down={"revoke_role"}))
    world = played.world
    played.decide(TaskAction.APPROVE)
    played.passes(2 * HOUR)
    assert (world.is_tutor, world.has_profile) == (True, False)
    assert "Not all could be taken back" in world.open_tasks[0].reason
    with pytest.raises(WorkflowUpdateFailedError):
        played.withdraw()
    played.run.cancel()
    played.passes(2 * HOUR)
    assert world.status is ApplicationStatus.IN_REVIEW
    world.is_down.clear()
    played.decide(TaskAction.REJECT, by=CLEO)
    played.passes()
    assert (world.is_tutor, world.status) == (False, WITHDRAWN), "the operator's wish was kept"


@pytest.mark.parametrize("step", [*SAGA, "revoke_role", "withdraw_profile", "record", "close_task"])
def test_a_crash_anywhere_in_the_saga_changes_nothing(step: str) -> None:
    for number in plays(20):
        refuses = {"tell_platform"} if step in ("revoke_role", "withdraw_profile") else set()
        world = ApplicationWorld(fail_first=Counter({step: 4}), refuses=refuses)
        played = in_review(world, f"{step}-{number}", Mishaps(answer_lost=0.3, worker_away=0.2))
        played.decide(TaskAction.APPROVE)
        played.passes(6 * HOUR)
        if refuses:
            world.refuses.clear()
            played.decide(TaskAction.RETRY, by=CLEO)
            played.passes(6 * HOUR)
        played.passes(DAY)
        assert played.outcome().status is APPROVED, number
        assert world.did[-3:] == _DONE
        assert Counter(world.letters) == Counter(["application_received", "application_approved"])


# ---- anything in any order ----


def _people_act(played: Played) -> None:
    """Somebody does something, whether it is their turn or not."""
    world, chance = played.world, played.simulation.chance
    who = chance.choice((ADA, BERT, CLEO, APPLICANT))
    with suppress(WorkflowUpdateFailedError):
        match chance.randrange(9):
            case 0:
                played.submit()
            case 1:
                played.answer()
            case 2 if chance.random() < 0.3:
                played.withdraw()
            case 3:
                played.assign(chance.choice((ADA, BERT, None)), by=who)
            case 4:
                played.judge(chance.choice(tuple(DocumentVerdict)), by=who)
            case _ if world.open_tasks:
                _two_decide(played)


def _two_decide(played: Played) -> None:
    """One or two decide the same task at once; at most one of them counts."""
    world, chance = played.world, played.simulation.chance
    task = world.open_tasks[0]
    told = [
        played.run.send(
            TutorApplicationWorkflow.decide,
            DecideTask(
                task_id=task.task_id,
                action=chance.choice(task.allowed_actions),
                actor=f"staff:{chance.choice((ADA, BERT, CLEO))}",
                reasons=REASONS,
            ),
        )
        for _ in range(chance.choice((1, 1, 2)))
    ]
    answers = [played.run.answered(sent) for sent in told]
    assert sum(not isinstance(answer, WorkflowUpdateFailedError) for answer in answers) <= 1


def _wrongs(world: ApplicationWorld) -> list[str]:
    """What is not as it must be, at whatever moment."""
    wrongs = []
    if (world.status is APPROVED) != world.is_shown:
        wrongs.append("approved and shown disagree")
    if world.is_shown and not (world.is_tutor and world.has_profile):
        wrongs.append("shown, but no tutor")
    done = Counter(world.did)
    for what in ("profile", "role"):
        if done[what] - done[f"no {what}"] not in (0, 1):
            wrongs.append(f"{what}: {done[what]} made, {done[f'no {what}']} taken back")
    if len(world.open_tasks) > 1:
        wrongs.append("several tasks at once")
    if set(world.decisions) - set(world.closed):
        wrongs.append("decided what nobody was asked")
    if world.rounds > 3:
        wrongs.append("too many questions")
    return wrongs


def _wrongs_of_the_end(world: ApplicationWorld) -> list[str]:
    wrongs = _wrongs(world)
    letters = Counter(letter.split(":")[0] for letter in world.letters)
    ends = {
        "application_approved": world.status is APPROVED,
        "application_rejected": world.status in REJECTED,
        "application_closed": world.status in (WITHDRAWN, EXPIRED),
        "application_received": ApplicationStatus.SUBMITTED in world.history,
        "application_late": ApplicationStatus.INACTIVE in world.history,
        "application_info_requested": world.rounds,
    }
    wrongs += [f"{letters[letter]} times {letter}" for letter, times in ends.items() if letters[letter] != int(times)]
    if world.status is not APPROVED and (world.has_profile or world.is_tutor):
        wrongs.append("a tutor who was not approved")
    if (world.erased_at is None) != (world.status is APPROVED):
        wrongs.append("erased, or not, against the rule")
    if world.erased_at and world.erase_at and not timedelta() <= world.erased_at - world.erase_at < 6 * HOUR:
        wrongs.append("erased at another time")
    if world.open_tasks:
        wrongs.append("a task stays open")
    undecided = [
        task_id
        for task_id, closed in world.closed.items()
        if closed.actor != "system"
        and world.tasks[task_id].kind is not TaskKind.TUTOR_PROVISIONING_FAILED
        and task_id not in world.decisions
    ]
    return wrongs + ["a decision is not on record"] * bool(undecided)


@pytest.mark.parametrize("part", parts(1, 2))
def test_whatever_people_do_in_any_order_the_application_ends_whole(part: int) -> None:
    ends = Counter[ApplicationStatus | None]()
    for number in range(RUNS_OF_A_TEST):
        seed = f"{part}-{number}"
        chance = random.Random(seed)  # noqa: S311 - the same scripts every time
        steps = (
            *SAGA,
            "revoke_role",
            "withdraw_profile",
            "submit",
            "open_review",
            "record",
            "check",
            "end",
            "erase",
            "check_approval",
        )
        world = ApplicationWorld(
            present=chance.choice(([], [ADA], [ADA, BERT])),
            fail_first=Counter({step: chance.choice((0, 0, 0, 1, 3)) for step in steps}),
            refuses={chance.choice(SAGA)} if chance.random() < 0.3 else set(),
        )
        mishaps = chance.choice((Mishaps(), Mishaps(answer_lost=0.1), Mishaps(worker_away=0.1), Mishaps(0.1, 0.1)))
        played = begun(world, seed, mishaps)
        with suppress(WorkflowUpdateFailedError):
            played.submit()
        for _ in range(chance.randint(1, 14)):
            played.passes(chance.choice((timedelta(), timedelta(seconds=2), HOUR, DAY, 4 * DAY, 20 * DAY)))
            if played.run.ended is not None:
                break
            if chance.random() < 0.02:
                played.run.cancel()
            if chance.random() < 0.2:
                world.refuses.clear()
            _people_act(played)
            assert not _wrongs(world), (seed, _wrongs(world), world.did)
        world.refuses.clear()
        for _ in range(12):
            if world.status not in LIVE:
                break
            played.passes(2 * DAY)
            if world.open_tasks and chance.random() < 0.7:
                _two_decide(played)
        for _ in range(5):
            # What is left of it nobody can hold up for ever: not even who does nothing at all.
            played.passes(200 * DAY)
            if world.open_tasks and world.open_tasks[0].kind is TaskKind.TUTOR_PROVISIONING_FAILED:
                _two_decide(played)
        ends[world.status] += 1
        assert played.outcome().status is world.status, seed
        assert not _wrongs_of_the_end(world), (seed, _wrongs_of_the_end(world), world.history, world.letters, world.did)
    assert min(ends[status] for status in (APPROVED, WITHDRAWN, EXPIRED, ApplicationStatus.REJECTED_SOFT)) > 3, ends
