"""Reviews on the record: whose turn it is, the clock, verdicts, who may decide what, and what is written down."""

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col
from temporalio.exceptions import ApplicationError

from activities import application_decisions, application_reviews, reviewers
from activities.application_record import stop_clock
from activities.database import Sessions
from models.errors import Reason
from models.messages.applications import CheckApproval, CheckedApplication, RecordDecision
from models.tables import Academy, ApplicationDecision, HumanTask, Reviewer, TutorApplication
from models.tables.columns import now
from models.vocabulary import ApplicationStatus, DocumentVerdict, ReviewReason, TaskAction, TaskKind, TaskStatus
from rules.business_days import after_working_days, working_time
from rules.tutor_application import INFO_DUE_AFTER, REAPPLY_AFTER_HARD
from tests.eventually import eventually
from tests.integration.order_steps import statements_of
from tests.integration.tutor_applications import World, ago

S = ApplicationStatus
BERLIN = ZoneInfo("Europe/Berlin")
REJECTED = DocumentVerdict.REJECTED


@pytest.fixture
async def world(sessions: Sessions, tmp_path: Path) -> World:
    return await World.build(sessions, tmp_path)


def set_clock(monkeypatch: pytest.MonkeyPatch, moment: datetime) -> None:
    """Let the reviewers' steps happen at this moment."""
    for module in (application_reviews, application_decisions, reviewers):
        monkeypatch.setattr(module, "now", lambda: moment)


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


# ---- taking up ----


async def test_with_nobody_there_it_waits_and_its_clock_runs(world: World) -> None:
    application_id = await world.filled()
    await world.submit(application_id)
    opened = await world.open(application_id)
    row = await world.row(application_id)
    assert (opened.status, opened.reviewer_id, opened.used_seconds) == (S.SUBMITTED, None, 0)
    assert row.clock_started_at is not None
    assert opened.inactive_at == after_working_days(row.clock_started_at, 30, BERLIN, "DE")
    again = await world.open(application_id)
    assert again.inactive_at == opened.inactive_at
    assert (await world.row(application_id)).clock_started_at == row.clock_started_at


async def test_the_turn_goes_round_among_those_who_are_there(world: World) -> None:
    one, two, away, applicant = [await world.reviewer() for _ in range(4)]
    await world.away(away, now())
    given = [(await world.row(await world.in_review())).reviewer_id for _ in range(9)]
    assert Counter(given) == {one: 3, two: 3, applicant: 3}
    assert len({*given[:3]}) == len({*given[3:6]}) == 3
    own = await world.in_review(applicant)
    assert (await world.row(own)).reviewer_id in (one, two)
    row = await world.row(own)
    assert await world.audited(own) == [
        (None, "draft", "begun"),
        ("draft", "submitted", "submitted"),
        ("submitted", "in_review", f"assigned to staff:{row.reviewer_id}"),
    ]
    assert (await world.open(own)).reviewer_id == row.reviewer_id
    assert len(await world.audited(own)) == 3


async def test_nobody_reviews_their_own_even_if_alone(world: World) -> None:
    applicant = await world.reviewer()
    opened = await world.row(await world.in_review(applicant))
    assert (opened.status, opened.reviewer_id) == (S.SUBMITTED, None)


async def test_many_taken_up_at_once_are_shared_out_evenly(world: World) -> None:
    people = [await world.reviewer() for _ in range(4)]
    waiting = [await world.filled() for _ in range(12)]
    for application_id in waiting:
        await world.submit(application_id)
    opened = await asyncio.gather(*(world.open(application_id) for application_id in waiting))
    assert Counter(each.reviewer_id for each in opened) == dict.fromkeys(people, 3)


async def test_who_reviewed_it_before_goes_on_with_it_if_there(world: World) -> None:
    first, second = await world.reviewer(), await world.reviewer()
    application_id = await world.in_review()
    reviewer_id = (await world.row(application_id)).reviewer_id
    assert reviewer_id is not None
    other = second if reviewer_id == first else first
    for is_there in (True, False):
        await world.ask_for_info(application_id)
        await world.answer(application_id)
        if not is_there:
            await world.away(reviewer_id, now())
        opened = await world.open(application_id)
        assert (opened.status, opened.reviewer_id) == (S.IN_REVIEW, reviewer_id if is_there else other)
    await world.away(other, now())
    await world.ask_for_info(application_id)
    await world.answer(application_id)
    assert (await world.open(application_id)).reviewer_id is None


# ---- the clock ----


async def test_the_clock_counts_working_time_over_holidays_and_a_clock_change(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nine working days from the Thursday before the clocks change; 3 April and 6 April 2026 are Easter holidays."""
    await world.reviewer()
    application_id = await world.filled()
    await world.submit(application_id)
    set_clock(monkeypatch, berlin("2026-03-26T15:00"))
    opened = await world.open(application_id)
    assert opened.inactive_at == after_working_days(berlin("2026-03-26T15:00"), 30, BERLIN, "DE")
    set_clock(monkeypatch, berlin("2026-04-10T15:00"))
    assert (await world.open(application_id)).used_seconds == 9 * 24 * 3600
    asked = await world.ask_for_info(application_id)
    assert asked.info_due_at == berlin("2026-04-24T15:00")
    row = await world.row(application_id)
    assert (row.clock_used_seconds, row.clock_started_at) == (9 * 24 * 3600, None)
    await world.answer(application_id)
    set_clock(monkeypatch, berlin("2026-04-20T09:00"))
    again = await world.open(application_id)
    assert again.used_seconds == 9 * 24 * 3600
    assert again.inactive_at == after_working_days(berlin("2026-04-20T09:00"), 21, BERLIN, "DE")


async def test_from_inactive_the_clock_begins_anew(world: World) -> None:
    application_id = await world.in_review()
    await world.change(application_id, clock_started_at=ago(days=60))
    await world.end(application_id, S.INACTIVE)
    assert (await world.row(application_id)).clock_used_seconds > 30 * 24 * 3600
    resting = await world.open(application_id)
    assert resting.status is S.INACTIVE
    assert resting.inactive_at <= now()
    await world.ask_for_info(application_id)
    row = await world.row(application_id)
    assert (row.status, row.clock_used_seconds, row.rounds) == (S.INFO_REQUESTED, 0, 1)
    await world.answer(application_id)
    fresh = await world.open(application_id)
    assert fresh.used_seconds == 0
    assert fresh.inactive_at > now() + timedelta(days=39)


async def test_a_stopped_clock_stays_stopped(world: World) -> None:
    application_id = await world.in_review()
    started_at, moment = ago(days=3), now()
    await world.change(application_id, clock_started_at=started_at)
    async with world.sessions.begin() as session:
        row = await session.get_one(TutorApplication, application_id)
        for _ in range(2):
            await stop_clock(session, row, moment)
    wanted = working_time(started_at, moment, BERLIN, "DE")
    assert (await world.row(application_id)).clock_used_seconds == int(wanted.total_seconds())


# ---- giving it to somebody ----


async def test_the_open_task_goes_along_and_the_second_opinion_stays(world: World) -> None:
    first, second = await world.reviewer(), await world.reviewer()
    application_id = await world.in_review()
    one = (await world.row(application_id)).reviewer_id
    other = second if one == first else first
    task_id = await world.open_task(application_id, one)
    opinion = await world.open_task(application_id, None, kind=TaskKind.TUTOR_SECOND_OPINION)
    assert (await world.task(task_id)).assignee == f"staff:{one}"
    for _ in range(2):
        answer = await world.assign(application_id, other)
        assert (answer.status, answer.reviewer_id, answer.refusal) == (S.IN_REVIEW, other, None)
    assert (await world.task(task_id)).assignee == f"staff:{other}"
    assert (await world.task(opinion)).assignee is None
    assert [entry[2] for entry in await world.audited(application_id)].count(f"assigned to staff:{other}") == 1
    given_back = await world.assign(application_id, None)
    assert (given_back.status, given_back.reviewer_id) == (S.SUBMITTED, None)
    assert (await world.task(task_id)).assignee is None
    taken = await world.assign(application_id, one)
    assert (taken.status, taken.reviewer_id) == (S.IN_REVIEW, one)


async def test_a_resting_application_may_be_taken_and_keeps_resting(world: World) -> None:
    reviewer_id = await world.reviewer()
    application_id = await world.in_review()
    await world.end(application_id, S.INACTIVE)
    for who in (None, reviewer_id):
        answer = await world.assign(application_id, who)
        assert (answer.status, answer.reviewer_id) == (S.INACTIVE, who)


async def test_who_may_not_be_given_it(world: World) -> None:
    reviewer_id, applicant = await world.reviewer(), await world.reviewer()
    application_id = await world.filled(applicant)
    assert (await world.assign(application_id, reviewer_id)).refusal is Reason.APPLICATION_NOT_IN_REVIEW
    await world.submit(application_id)
    assert (await world.assign(application_id, await world.person())).refusal is Reason.NOT_A_REVIEWER
    assert (await world.assign(application_id, applicant)).refusal is Reason.OWN_APPLICATION
    own = await world.assign(application_id, reviewer_id, f"staff:{applicant}")
    assert own.refusal is Reason.OWN_APPLICATION
    assert (await world.assign(uuid4(), reviewer_id)).refusal is Reason.NOT_FOUND
    assert (await world.row(application_id)).reviewer_id is None


# ---- verdicts ----


async def test_the_last_verdict_counts(world: World) -> None:
    reviewer_id = await world.reviewer()
    application_id = await world.in_review()
    document = (await world.documents(application_id))[0].id
    for _ in range(2):
        said = await world.judge(
            application_id, document, f"staff:{reviewer_id}", REJECTED, ReviewReason.DOCUMENT_UNREADABLE
        )
        assert said == CheckedApplication()
    row = (await world.documents(application_id))[0]
    assert (row.verdict, row.verdict_reason, row.judged_by) == (
        "rejected", "document_unreadable", f"staff:{reviewer_id}",
    )  # fmt: skip
    await world.judge(application_id, document, "admin:chief", reason=ReviewReason.OTHER)
    row = (await world.documents(application_id))[0]
    assert (row.verdict, row.verdict_reason, row.judged_by) == ("accepted", None, "admin:chief")
    assert await world.audited(document) == [
        (None, "rejected", "document_unreadable"),
        ("rejected", "accepted", "accepted"),
    ]


async def test_what_is_not_judged(world: World) -> None:
    reviewer_id, applicant = await world.reviewer(), await world.reviewer()
    application_id = await world.filled(applicant)
    [document, other] = [each.id for each in await world.documents(application_id)]
    actor = f"staff:{reviewer_id}"

    async def refusal(document_id: UUID, by: str = actor, verdict: DocumentVerdict = REJECTED) -> Reason | None:
        return (await world.judge(application_id, document_id, by, verdict)).refusal

    assert await refusal(document) is Reason.APPLICATION_NOT_IN_REVIEW
    await world.submit(application_id)
    assert await refusal(document) is Reason.REASONS_REQUIRED
    assert await refusal(document, f"admin:{applicant}") is Reason.OWN_APPLICATION
    assert await refusal(document, f"staff:{await world.person()}") is Reason.NOT_A_REVIEWER
    assert await refusal(document, "service:platform") is Reason.NOT_A_REVIEWER
    assert await refusal(uuid4()) is Reason.NOT_FOUND
    assert await refusal((await world.documents(await world.filled()))[0].id) is Reason.NOT_FOUND
    await world.alter(other, replaced_at=now())
    assert await refusal(other) is Reason.NOT_FOUND
    assert await world.audited(document) == []


# ---- who may decide what ----


async def test_who_may_decide(world: World) -> None:
    reviewer_id, applicant = await world.reviewer(), await world.reviewer()
    application_id = await world.filled(applicant)
    actor = f"staff:{reviewer_id}"
    soft = (TaskAction.REJECT_SOFT, actor, ReviewReason.OTHER)
    assert await world.check(application_id, *soft) is Reason.APPLICATION_NOT_IN_REVIEW
    await world.submit(application_id)
    assert await world.check(application_id, *soft) is None
    assert await world.check(uuid4(), *soft) is Reason.NOT_FOUND
    assert await world.check(application_id, TaskAction.REJECT_SOFT, actor) is Reason.REASONS_REQUIRED
    assert await world.check(application_id, TaskAction.APPROVE, actor) is Reason.VERDICTS_MISSING
    own = await world.check(application_id, TaskAction.REJECT_SOFT, f"admin:{applicant}", ReviewReason.OTHER)
    assert own is Reason.OWN_APPLICATION
    stranger = f"staff:{await world.person()}"
    assert await world.check(application_id, TaskAction.REJECT_SOFT, stranger) is Reason.NOT_A_REVIEWER
    await world.accept_all(application_id, "admin:chief")
    assert await world.check(application_id, TaskAction.APPROVE, actor) is None
    await world.change(application_id, rounds=3)
    asked = await world.check(application_id, TaskAction.REQUEST_INFO, actor, ReviewReason.OTHER)
    assert asked is Reason.TOO_MANY_INFO_ROUNDS


async def test_a_second_opinion_is_of_somebody_else(world: World) -> None:
    first, second, applicant = [await world.reviewer() for _ in range(3)]
    application_id = await world.in_review(applicant)
    step = world.decision(application_id, TaskAction.REJECT_HARD, actor=f"staff:{first}")
    await world.reviews.record_decision(step)
    for role in ("staff", "admin"):
        same = await world.check(application_id, TaskAction.APPROVE, f"{role}:{first}", seconds=step.task_id)
        assert same is Reason.FOUR_EYES_REQUIRED
    own = await world.check(application_id, TaskAction.APPROVE, f"staff:{applicant}", seconds=step.task_id)
    assert own is Reason.OWN_APPLICATION
    # Whoever agrees needs no verdicts, and whoever does not needs no reasons.
    for action in (TaskAction.APPROVE, TaskAction.REJECT):
        assert await world.check(application_id, action, f"staff:{second}", seconds=step.task_id) is None
    elsewhere = await world.in_review()
    lost = await world.check(elsewhere, TaskAction.APPROVE, f"staff:{second}", seconds=step.task_id)
    assert lost is Reason.NOT_FOUND
    await world.end(application_id, S.WITHDRAWN)
    over = await world.check(application_id, TaskAction.APPROVE, f"staff:{second}", seconds=step.task_id)
    assert over is Reason.APPLICATION_NOT_IN_REVIEW


# ---- writing it down ----


async def test_a_decision_keeps_the_documents_it_was_made_on(world: World) -> None:
    application_id = await world.filled()
    await world.submit(application_id)
    [identity, certification] = await world.documents(application_id)
    await world.judge(application_id, identity.id, "admin:chief", REJECTED, ReviewReason.NAME_DIFFERS)
    step = world.decision(
        application_id, TaskAction.REJECT_SOFT, S.REJECTED_SOFT, actor="admin:chief",
        reasons=[ReviewReason.NAME_DIFFERS, ReviewReason.OTHER],
    )  # fmt: skip
    answer = await world.reviews.record_decision(step)
    async with world.sessions() as session:
        decision = await session.get_one(ApplicationDecision, step.task_id)
    assert (decision.action, decision.reasons, decision.decided_by) == (
        "reject_soft", ["name_differs", "other"], "admin:chief",
    )  # fmt: skip
    assert [(each["id"], each["sha256"], each["verdict"], each["reason"]) for each in decision.documents] == [
        (str(identity.id), identity.sha256, "rejected", "name_differs"),
        (str(certification.id), certification.sha256, None, None),
    ]
    row = await world.row(application_id)
    assert answer.status is S.REJECTED_SOFT
    assert answer.erase_at == row.erase_at
    assert row.reapply_at == row.decided_at == decision.created_at
    assert row.clock_started_at is None
    # What nobody had taken up passes through the review.
    assert [entry[:2] for entry in await world.audited(application_id)][-2:] == [
        ("submitted", "in_review"),
        ("in_review", "rejected_soft"),
    ]
    assert await world.reviews.record_decision(step) == answer
    assert await world.row(application_id) == row


async def test_a_hard_rejection_follows_from_the_second_opinion(world: World) -> None:
    application_id = await world.in_review()
    first = world.decision(application_id, TaskAction.REJECT_HARD)
    assert (await world.reviews.record_decision(first)).status in (S.SUBMITTED, S.IN_REVIEW)
    row = await world.row(application_id)
    assert (row.status, row.decided_at) == (S.IN_REVIEW, None)
    agreed = world.decision(
        application_id, TaskAction.APPROVE, S.REJECTED_HARD, actor="staff:other", seconds=first.task_id
    )
    assert (await world.reviews.record_decision(agreed)).status is S.REJECTED_HARD
    row = await world.row(application_id)
    assert row.decided_at is not None
    assert row.reapply_at == row.decided_at + REAPPLY_AFTER_HARD
    reasons = [entry[2] for entry in await world.audited(application_id)]
    assert reasons[-2:] == ["reject_hard", "second opinion: approve"]
    somebody = row.applicant_id
    refused = await world.steps.begin_application(world.beginning(somebody))
    assert refused.refusal is Reason.REAPPLY_TOO_SOON
    await world.change(application_id, reapply_at=now())
    assert (await world.steps.begin_application(world.beginning(somebody))).refusal is None


async def test_an_approval_over_a_rejected_document_is_an_override(world: World) -> None:
    application_id = await world.in_review()
    await world.accept_all(application_id, "admin:chief")
    clean = await world.reviews.record_decision(world.decision(application_id, TaskAction.APPROVE))
    assert not clean.is_override
    document = (await world.documents(application_id))[0]
    await world.judge(application_id, document.id, "admin:chief", REJECTED, ReviewReason.OTHER)
    first = world.decision(application_id, TaskAction.APPROVE)
    assert [(await world.reviews.record_decision(first)).is_override for _ in range(2)] == [True, True]
    against = world.decision(application_id, TaskAction.REJECT, seconds=first.task_id)
    assert not (await world.reviews.record_decision(against)).is_override
    agreed = world.decision(application_id, TaskAction.APPROVE, seconds=first.task_id)
    assert (await world.reviews.record_decision(agreed)).is_override
    hard = world.decision(application_id, TaskAction.REJECT_HARD)
    await world.reviews.record_decision(hard)
    seconded = world.decision(application_id, TaskAction.APPROVE, S.REJECTED_HARD, seconds=hard.task_id)
    assert not (await world.reviews.record_decision(seconded)).is_override


async def test_information_is_asked_for_three_times_at_most(world: World) -> None:
    application_id = await world.in_review()
    for count in (1, 2, 3):
        asked = await world.ask_for_info(application_id)
        assert (asked.status, asked.round) == (S.INFO_REQUESTED, count)
        assert asked.info_due_at == (await world.row(application_id)).updated_at + INFO_DUE_AFTER
        await world.answer(application_id)
        await world.open(application_id)
    with pytest.raises(ApplicationError) as refused:
        await world.ask_for_info(application_id)
    assert (refused.value.type, refused.value.non_retryable) == ("too_many_info_rounds", True)
    assert (await world.row(application_id)).rounds == 3


@pytest.mark.parametrize("reached", [S.DRAFT, S.INFO_REQUESTED, S.WITHDRAWN, S.REJECTED_SOFT])
async def test_a_decision_that_comes_too_late_is_not_written(world: World, reached: ApplicationStatus) -> None:
    application_id = await world.draft() if reached is S.DRAFT else await world.in_review()
    if reached is S.INFO_REQUESTED:
        await world.ask_for_info(application_id)
    elif reached is S.WITHDRAWN:
        await world.end(application_id, reached)
    elif reached is S.REJECTED_SOFT:
        await world.reviews.record_decision(world.decision(application_id, TaskAction.REJECT_SOFT, reached))
    before = await world.row(application_id)
    step = world.decision(application_id, TaskAction.REJECT_SOFT, S.REJECTED_SOFT)
    assert (await world.reviews.record_decision(step)).status is reached
    assert await world.row(application_id) == before
    async with world.sessions() as session:
        assert await session.get(ApplicationDecision, step.task_id) is None


async def test_a_decision_of_nothing_is_a_refusal(world: World) -> None:
    with pytest.raises(ApplicationError) as refused:
        await world.reviews.record_decision(world.decision(uuid4(), TaskAction.APPROVE))
    assert (refused.value.type, refused.value.non_retryable) == ("not_found", True)


async def test_of_two_reviewers_at_once_one_decides(world: World) -> None:
    for _ in range(5):
        application_id = await world.in_review()
        rejected = world.decision(application_id, TaskAction.REJECT_SOFT, S.REJECTED_SOFT, actor="staff:one")
        asked = world.decision(application_id, TaskAction.REQUEST_INFO, S.INFO_REQUESTED, actor="staff:two")
        answers = await asyncio.gather(*(world.reviews.record_decision(step) for step in (rejected, asked)))
        assert answers[0].status == answers[1].status == (await world.row(application_id)).status
        async with world.sessions() as session:
            count = select(func.count()).where(col(ApplicationDecision.application_id) == application_id)
            assert (await session.execute(count)).scalar_one() == 1


async def test_a_withdrawal_and_a_decision_at_once_have_one_winner(world: World) -> None:
    await world.reviewer()
    for _ in range(5):
        application_id = await world.in_review()
        rejected = world.decision(application_id, TaskAction.REJECT_SOFT, S.REJECTED_SOFT)
        decided, ended = await asyncio.gather(
            world.reviews.record_decision(rejected), world.end(application_id, S.WITHDRAWN)
        )
        assert decided.status == ended.status == (await world.row(application_id)).status
        assert decided.erase_at == ended.erase_at
        assert len([to for of, to, _ in await world.audited(application_id) if of == S.IN_REVIEW]) == 1


async def test_the_same_decision_many_times_at_once_is_one(world: World) -> None:
    application_id = await world.in_review()
    step = world.decision(application_id, TaskAction.REQUEST_INFO, S.INFO_REQUESTED)
    answers = await asyncio.gather(*(world.reviews.record_decision(step) for _ in range(10)))
    assert {answer.round for answer in answers} == {1}
    assert [entry[2] for entry in await world.audited(application_id)].count("request_info") == 1


# ---- absence ----


async def away_with(world: World, count: int) -> tuple[UUID, list[UUID], list[UUID]]:
    """A reviewer who has so many, and an open task for each."""
    gone = await world.reviewer()
    mine = [await world.in_review() for _ in range(count)]
    tasks = [await world.open_task(application_id, gone) for application_id in mine]
    return gone, mine, tasks


async def test_after_two_working_days_of_absence_others_take_over_in_turn(world: World) -> None:
    gone, mine, tasks = await away_with(world, 5)
    opinion = await world.open_task(mine[0], gone, kind=TaskKind.TUTOR_SECOND_OPINION)
    one, two = await world.reviewer(), await world.reviewer()
    await world.away(gone, now())
    assert await world.reassign(uuid4().hex) == ()
    await world.away(gone, ago(days=14))
    waiting = await world.filled(one)
    await world.submit(waiting)
    await world.change(waiting, reviewer_id=gone, status=S.IN_REVIEW)
    asked = mine.pop()
    await world.ask_for_info(asked)
    found = await world.reassign(uuid4().hex)
    assert [(each.application_id, each.task_id) for each in found] == [*zip(mine, tasks, strict=False), (waiting, None)]
    assert found[-1].reviewer_id == two
    assert {found[0].reviewer_id, found[1].reviewer_id} == {one, two}
    assert sorted(Counter(each.reviewer_id for each in found).values()) == [2, 3]
    for each in found:
        assert (await world.row(each.application_id)).reviewer_id == each.reviewer_id
        reasons = [entry[2] for entry in await world.audited(each.application_id)]
        assert reasons[-1] == f"assigned to staff:{each.reviewer_id}: the reviewer is away"
        if each.task_id is not None:
            assert (await world.task(each.task_id)).assignee == f"staff:{each.reviewer_id}"
            assert (await world.audited(each.task_id))[-1][2] == f"assigned to staff:{each.reviewer_id}"
    assert (await world.task(opinion)).assignee == f"staff:{gone}"
    assert (await world.row(asked)).reviewer_id == gone
    assert await world.reassign(uuid4().hex) == ()
    # The turn goes on from there.
    last = found[-1].reviewer_id
    assert (await world.row(await world.in_review())).reviewer_id != last


async def test_with_nobody_there_it_stays_where_it_is(world: World) -> None:
    gone, mine, tasks = await away_with(world, 2)
    await world.away(gone, ago(days=14))
    before = [await world.row(application_id) for application_id in mine]
    for _ in range(2):
        found = await world.reassign(uuid4().hex)
        assert [(each.application_id, each.reviewer_id) for each in found] == [(each, None) for each in mine]
    assert [await world.row(application_id) for application_id in mine] == before
    assert (await world.task(tasks[0])).assignee == f"staff:{gone}"
    # The applicant alone is nobody.
    await world.reviewer(before[0].applicant_id)
    found = await world.reassign(uuid4().hex)
    assert {each.application_id: each.reviewer_id for each in found} == {
        mine[0]: None,
        mine[1]: before[0].applicant_id,
    }


async def test_a_weekend_is_no_absence(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    gone, mine, _ = await away_with(world, 1)
    other = await world.reviewer()
    await world.away(gone, berlin("2026-04-02T10:00"))
    for moment, is_late in (("2026-04-08T09:59", False), ("2026-04-08T10:01", True)):
        set_clock(monkeypatch, berlin(moment))
        found = await world.reassign(uuid4().hex)
        assert [each.reviewer_id for each in found] == ([other] if is_late else [])
    assert (await world.row(mine[0])).reviewer_id == other


async def test_reassigning_twice_at_once_gives_each_once(world: World) -> None:
    gone, mine, _ = await away_with(world, 6)
    await world.reviewer()
    await world.reviewer()
    await world.away(gone, ago(days=14))
    runs = await asyncio.gather(*(world.reassign(uuid4().hex) for _ in range(3)))
    assert sorted(len(run) for run in runs) == [0, 0, 6]
    assert {each.application_id for run in runs for each in run} == set(mine)


async def test_reassigning_takes_as_many_statements_for_many_as_for_one(world: World, engine: AsyncEngine) -> None:
    counts = []
    for count in (1, 25):
        gone, _, _ = await away_with(world, count)
        stand_ins = [await world.reviewer() for _ in range(count)]
        await world.away(gone, ago(days=14))
        with statements_of(engine) as sent:
            assert len(await world.reassign(uuid4().hex)) == count
        counts.append(len(sent))
        async with world.sessions.begin() as session:
            present = col(Reviewer.person_id).in_(stand_ins)
            await session.execute(update(Reviewer).where(present).values(away_since=now()))
    assert counts[0] == counts[1] < 14


async def test_the_same_run_again_is_answered_the_same(world: World) -> None:
    gone, mine, tasks = await away_with(world, 3)
    one, two = await world.reviewer(), await world.reviewer()
    await world.away(gone, ago(days=14))
    first = await world.reassign("reassign-reviews-7")
    assert [(each.application_id, each.task_id) for each in first] == list(zip(mine, tasks, strict=True))
    assert {each.reviewer_id for each in first} == {one, two}
    assert [each.hand_overs for each in first] == [2, 2, 2]
    assert await world.reassign("reassign-reviews-7") == first
    assert await world.reassign("reassign-reviews-8") == ()
    assert {(await world.row(each.application_id)).reviewer_id for each in first} == {one, two}


async def test_what_is_decided_meanwhile_is_not_handed_over(world: World) -> None:
    gone, _, [task_id] = await away_with(world, 1)
    await world.reviewer()
    await world.away(gone, ago(days=14))
    async with world.sessions.begin() as session:
        task = await session.get_one(HumanTask, task_id, with_for_update=True)
        running = asyncio.create_task(world.reassign())
        await eventually(lambda: waits_for_a_lock(world))
        task.status, task.decision, task.decided_by, task.decided_at = TaskStatus.DONE, "approve", "admin:boss", now()
    [given] = await running
    assert given.task_id is None
    assert (await world.task(task_id)).assignee == f"staff:{gone}"
    assert [entry[2] for entry in await world.audited(task_id)] == ["tutor_review"]


async def waits_for_a_lock(world: World) -> bool:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    async with world.sessions() as session:
        return bool((await session.execute(text(waiting))).scalar_one())


async def test_what_was_not_agreed_to_goes_back_to_who_decided_if_there(world: World) -> None:
    one, two, away = [await world.reviewer() for _ in range(3)]
    await world.away(away, now())
    application_id = await world.in_review()
    mine = (await world.row(application_id)).reviewer_id
    assert mine is not None
    other = two if mine == one else one
    for decided_by, expected, hand_overs in (
        (f"admin:{other}", other, 2),
        (f"staff:{away}", other, 2),
        ("admin:the-chief", other, 2),
        (f"staff:{mine}", mine, 3),
    ):
        for _ in range(2):
            opened = await world.open(application_id, decided_by)
            assert (opened.status, opened.reviewer_id, opened.hand_overs) == (S.IN_REVIEW, expected, hand_overs)
        assert (await world.row(application_id)).reviewer_id == expected
    await world.away(mine, now())
    assert (await world.open(application_id, f"staff:{mine}")).reviewer_id == other
    await world.away(other, now())
    assert (await world.open(application_id, f"staff:{other}")).reviewer_id == other, "nobody is there: it stays"
    await world.end(application_id, S.INACTIVE)
    await world.away(mine, None)
    opened = await world.open(application_id, f"staff:{mine}")
    assert (opened.status, opened.reviewer_id) == (S.INACTIVE, mine)


async def test_a_review_that_is_opened_answers_how_the_record_stands(world: World) -> None:
    application_id = await world.in_review()
    asked = await world.ask_for_info(application_id)
    opened = await world.open(application_id)
    assert (opened.status, opened.round, opened.info_due_at) == (S.INFO_REQUESTED, 1, asked.info_due_at)
    await world.end(application_id, S.WITHDRAWN)
    opened = await world.open(application_id, "staff:somebody")
    assert (opened.status, opened.erase_at) == (S.WITHDRAWN, (await world.row(application_id)).erase_at)


async def test_an_approval_stands_until_more_is_rejected_than_another_has_agreed_to(world: World) -> None:
    first, second = f"staff:{await world.reviewer()}", f"staff:{await world.reviewer()}"
    application_id = await world.in_review()
    [identity, certificate] = [each.id for each in await world.documents(application_id)]

    async def stands(decision: RecordDecision) -> bool:
        step = CheckApproval(application_id=application_id, task_id=decision.task_id)
        return (await world.reviews.check_approval(step)).stands

    await world.accept_all(application_id, first)
    plain = world.decision(application_id, TaskAction.APPROVE, actor=first)
    await world.reviews.record_decision(plain)
    assert await stands(plain)
    await world.judge(application_id, identity, second, REJECTED, ReviewReason.DOCUMENT_UNREADABLE)
    assert not await stands(plain)
    override = world.decision(application_id, TaskAction.APPROVE, actor=first)
    await world.reviews.record_decision(override)
    assert not await stands(override)
    agreed = world.decision(application_id, TaskAction.APPROVE, actor=second, seconds=override.task_id)
    await world.reviews.record_decision(agreed)
    assert await stands(override)
    assert not await stands(plain)
    await world.judge(application_id, identity, second, REJECTED, ReviewReason.NAME_DIFFERS)
    assert not await stands(override), "for another reason"
    await world.judge(application_id, identity, second)
    assert await stands(override)
    await world.judge(application_id, certificate, second, REJECTED, ReviewReason.OTHER)
    assert not await stands(override)


async def test_the_working_days_are_those_of_the_academy(world: World) -> None:
    async with world.sessions.begin() as session:
        await session.execute(update(Academy).values(time_zone="Asia/Kuwait", country="KW"))
    application_id = await world.filled()
    await world.submit(application_id)
    opened = await world.open(application_id)
    row = await world.row(application_id)
    assert row.clock_started_at is not None
    assert opened.inactive_at == after_working_days(row.clock_started_at, 30, ZoneInfo("Asia/Kuwait"), "KW")
