"""The certificates of an enrollment on a simulated clock: issued once, waited for, changed, renewed, told of once."""

import random
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from models.errors import Reason
from models.messages.certificates import CertificateOutcome, CertificateStart
from models.messages.tasks import DecideTask
from models.vocabulary import CertificateGround, CertificateOrigin, MailTemplate, TaskAction, TaskKind, WaitingFor
from tests.thoroughness import parts, plays
from tests.workflows.certificate_world import (
    ENROLLMENT,
    EXPIRED,
    ISSUED,
    REVOKED,
    STAFF,
    SUPERSEDED,
    CertificateWorld,
    Certifying,
    certifying,
)
from tests.workflows.simulation import Mishaps
from workflows.certificate import CertificateWorkflow

MAILED = (MailTemplate.CERTIFICATE_ISSUED, "")
ASKED = [(MailTemplate.CERTIFICATE_NAME_NEEDED, f"{word}_20260302") for word in ("ask", "3d", "7d", "14d")]
COMPLETION, EXCEPTION = CertificateOrigin.COMPLETION, CertificateOrigin.EXCEPTION
NAME = CertificateGround.NAME_UNCONFIRMED


def certified(world: CertificateWorld | None = None, seed: str = "") -> Certifying:
    """One certificate, rendered and mailed."""
    certificates = certifying(world, seed)
    certificates.issue()
    certificates.wait(minutes=5)
    assert certificates.world.sent() == [MAILED]
    return certificates


# ---- issuing ----


def test_a_completed_course_gives_one_certificate_rendered_and_mailed_once() -> None:
    certificates = certifying()
    certificates.start()
    certificates.wait(minutes=5)
    assert certificates.outcome() == CertificateOutcome(certificates=1)
    assert certificates.world.statuses() == [ISSUED]
    assert certificates.world.sent() == [MAILED]
    assert certificates.world.steps_done == {"issue": 1, "tend": 2, "render": 1, "send": 1}


def test_asking_again_finds_the_certificate_and_mails_nothing() -> None:
    certificates = certified()
    answer = certificates.issue(EXCEPTION)
    assert answer.certificate_ids == (certificates.only,)
    certificates.wait(days=1)
    assert certificates.outcome().certificates == 1
    assert certificates.world.sent() == [MAILED]
    assert certificates.world.steps_done["send"] == 1


@pytest.mark.parametrize(
    ("world", "ground"),
    [
        (CertificateWorld(is_completed=False), "not_completed"),
        (CertificateWorld(is_certified=False), "no_template"),
        (CertificateWorld(is_canceled=True), "enrollment_canceled"),
        (CertificateWorld(is_canceled=True, is_name_confirmed=False), "enrollment_canceled"),
    ],
)
def test_who_is_not_eligible_is_told_why_and_nothing_is_left_running(world: CertificateWorld, ground: str) -> None:
    certificates = certifying(world)
    with pytest.raises(WorkflowUpdateFailedError) as failed:
        certificates.issue()
    assert isinstance(failed.value.cause, ApplicationError)
    assert failed.value.cause.type == Reason.CERTIFICATE_NOT_ELIGIBLE
    assert ground in failed.value.cause.details
    certificates.wait(minutes=1)
    assert ground in certificates.outcome().grounds
    assert certificates.run.query(CertificateWorkflow.status).status is None
    assert world.sent() == []


def test_of_an_enrollment_that_is_not_there_nothing_is_written() -> None:
    certificates = certifying(CertificateWorld(is_known=False))
    assert _refusal(certificates.issue) == Reason.NOT_FOUND
    certificates.wait(minutes=1)
    assert certificates.outcome() == CertificateOutcome()
    assert _refusal(certificates.revoke, UUID(int=99)) == Reason.NOT_FOUND
    certificates.wait(minutes=1)
    assert certificates.outcome() == CertificateOutcome()
    assert certificates.world.sent() == []
    other = CertificateStart(enrollment_id=UUID(int=99), origin=COMPLETION)
    certificates.start()
    assert _refusal(certificates.run.update, CertificateWorkflow.issue, other) == Reason.NOT_FOUND


def test_what_was_revoked_is_not_issued_anew() -> None:
    certificates = certified()
    certificates.revoke(certificates.only)
    assert _refusal(certificates.issue) == Reason.CERTIFICATE_NOT_ELIGIBLE
    certificates.wait(minutes=5)
    assert certificates.world.statuses() == [REVOKED]


def test_staff_may_certify_what_is_not_completed() -> None:
    certificates = certifying(CertificateWorld(is_completed=False))
    assert certificates.issue(EXCEPTION).status is ISSUED
    certificates.wait(minutes=5)
    assert certificates.outcome().certificates == 1
    [row] = certificates.world.rows.values()
    assert row.origin is EXCEPTION


# ---- a name that is missing ----


def test_a_missing_name_is_asked_for_four_times_then_a_person_decides() -> None:
    certificates = certifying(CertificateWorld(is_name_confirmed=False))
    assert certificates.issue().grounds == (NAME,)
    for days, mails in ((2, 1), (2, 2), (4, 3)):
        certificates.wait(days=days)
        assert certificates.world.sent() == ASKED[:mails]
        state = certificates.run.query(CertificateWorkflow.status)
        assert (state.status, state.waiting_for, state.needs_human) == ("waiting", WaitingFor.LEARNER, False)
    certificates.wait(days=7)
    assert certificates.world.sent() == ASKED
    [task] = certificates.world.open_tasks()
    assert (task.kind, task.subject_id) == (TaskKind.CERTIFICATE_NAME_MISSING, ENROLLMENT)
    state = certificates.run.query(CertificateWorkflow.status)
    assert (state.task_id, state.waiting_for, state.needs_human) == (task.task_id, WaitingFor.OPERATOR, True)
    certificates.wait(days=400)
    assert certificates.run.ended is None


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("after_days", [0, 1, 5, 13])
def test_a_name_that_is_confirmed_while_it_is_waited_for_gives_the_certificate(after_days: int, told: bool) -> None:
    """Without the signal, it is found before the next reminder."""
    certificates = certifying(CertificateWorld(is_name_confirmed=False))
    certificates.issue()
    certificates.wait(days=after_days, minutes=1)
    asked = len(certificates.world.sent())
    certificates.confirm_name(told=told)
    certificates.wait(minutes=5)
    assert bool(certificates.world.rows) is told
    certificates.wait(days=8)
    assert certificates.outcome() == CertificateOutcome(certificates=1)
    assert certificates.world.sent() == [*ASKED[:asked], MAILED]
    assert certificates.world.tasks == {}


def test_a_name_that_is_confirmed_while_a_person_is_asked_closes_the_task() -> None:
    certificates = certifying(CertificateWorld(is_name_confirmed=False))
    certificates.issue()
    certificates.wait(days=20)
    certificates.confirm_name()
    certificates.wait(minutes=5)
    assert certificates.outcome() == CertificateOutcome(certificates=1)
    [decision] = certificates.world.closed.values()
    assert (decision.action, decision.actor) == (TaskAction.DISMISS, "system")


def test_a_person_takes_the_name_on_file() -> None:
    certificates = certifying(CertificateWorld(is_name_confirmed=False))
    certificates.issue()
    certificates.wait(days=20)
    certificates.decide(TaskAction.APPROVE)
    # Whoever decides gets an answer once it is done.
    assert certificates.world.statuses() == [ISSUED]
    certificates.wait(minutes=5)
    assert certificates.outcome() == CertificateOutcome(certificates=1)
    assert certificates.world.sent() == [*ASKED, MAILED]


def test_where_no_name_is_on_file_a_person_is_asked_again() -> None:
    certificates = certifying(CertificateWorld(is_name_confirmed=False, name_on_file=None))
    certificates.issue()
    certificates.wait(days=20)
    certificates.decide(TaskAction.APPROVE)
    certificates.wait(days=1)
    certificates.decide(TaskAction.RETRY)
    certificates.wait(days=1)
    assert len(certificates.world.open_tasks()) == 1
    assert len(certificates.world.closed) == 2
    certificates.world.is_name_confirmed = True
    certificates.decide(TaskAction.RETRY)
    certificates.wait(minutes=5)
    assert certificates.outcome() == CertificateOutcome(certificates=1)
    assert certificates.world.sent() == [*ASKED, MAILED]


def test_a_person_says_no_and_it_may_be_asked_for_again() -> None:
    certificates = certifying(CertificateWorld(is_name_confirmed=False))
    certificates.issue()
    certificates.wait(days=20)
    certificates.decide(TaskAction.DISMISS)
    certificates.wait(minutes=5)
    assert certificates.outcome() == CertificateOutcome(grounds=(NAME,))
    certificates.world.is_name_confirmed = True
    assert certificates.issue().status is ISSUED
    certificates.wait(minutes=5)
    assert certificates.outcome() == CertificateOutcome(certificates=1)


def test_who_is_waited_for_a_second_time_is_asked_again() -> None:
    certificates = certifying(CertificateWorld(is_name_confirmed=False))
    certificates.issue()
    certificates.wait(days=20)
    certificates.decide(TaskAction.DISMISS)
    certificates.wait(days=1)
    certificates.issue()
    certificates.wait(days=20)
    again = [(template, occasion.replace("0302", "0323")) for template, occasion in ASKED]
    assert certificates.world.sent() == [*ASKED, *again]
    assert len(certificates.world.open_tasks()) == 1


def test_a_wish_that_is_cancelled_while_the_record_is_asked_is_given_up() -> None:
    certificates = certifying(CertificateWorld(is_name_confirmed=False))
    certificates.start()
    certificates.world.meanwhile = lambda step: certificates.run.cancel() if step == "issue" else None
    certificates.wait(days=1)
    assert certificates.outcome() == CertificateOutcome(grounds=(NAME,))
    assert certificates.world.sent() == []


@pytest.mark.parametrize("after_days", [0, 5, 20])
def test_an_operator_who_cancels_gives_up_the_wait_and_nothing_else(after_days: int) -> None:
    certificates = certifying(CertificateWorld(is_name_confirmed=False))
    certificates.issue()
    certificates.wait(days=after_days, minutes=5)
    certificates.run.cancel()
    certificates.wait(minutes=5)
    assert certificates.outcome() == CertificateOutcome(grounds=(NAME,))

    certificates = certified(CertificateWorld(valid_days=365))
    certificates.run.cancel()
    certificates.wait(days=400)
    assert certificates.outcome().certificates == 1
    assert certificates.world.statuses() == [EXPIRED]


def test_what_staff_has_granted_is_not_forgotten_for_what_the_learner_asks() -> None:
    certificates = certifying(CertificateWorld(is_completed=False, is_name_confirmed=False))
    assert certificates.issue(EXCEPTION).grounds == (NAME,)
    assert _refusal(certificates.issue, COMPLETION) == Reason.CERTIFICATE_NOT_ELIGIBLE
    certificates.confirm_name()
    certificates.wait(minutes=5)
    assert certificates.outcome() == CertificateOutcome(certificates=1)


def test_an_exception_stays_one_when_the_learner_asks_for_the_same() -> None:
    certificates = certifying(CertificateWorld(is_name_confirmed=False))
    certificates.issue(EXCEPTION)
    assert certificates.issue(COMPLETION).grounds == (NAME,)
    # What was completed has been taken back meanwhile.
    certificates.world.is_completed = False
    certificates.confirm_name()
    certificates.wait(minutes=5)
    assert certificates.outcome() == CertificateOutcome(certificates=1)


def test_what_is_canceled_while_it_waits_is_not_issued() -> None:
    certificates = certifying(CertificateWorld(is_name_confirmed=False))
    certificates.issue()
    certificates.wait(days=20)
    certificates.world.is_canceled = True
    certificates.confirm_name()
    certificates.wait(minutes=5)
    assert certificates.outcome().grounds == (CertificateGround.ENROLLMENT_CANCELED,)


# ---- life ----


def test_a_year_of_notices_and_the_end() -> None:
    certificates = certified(CertificateWorld(valid_days=365))
    expiring = MailTemplate.CERTIFICATE_EXPIRING
    for days, mails in ((300, 0), (6, 1), (30, 2), (23, 3), (5, 3)):
        certificates.wait(days=days)
        assert certificates.world.sent() == [MAILED, *((expiring, day) for day in ("60d", "30d", "7d")[:mails])]
        state = certificates.run.query(CertificateWorkflow.status)
        assert (state.status, state.waiting_for) == (ISSUED, WaitingFor.TIMER)
    certificates.wait(days=2)
    assert certificates.world.sent()[-1] == (MailTemplate.CERTIFICATE_EXPIRED, "")
    assert certificates.outcome().certificates == 1
    assert certificates.world.statuses() == [EXPIRED]


def test_ten_years_of_renewals() -> None:
    certificates = certified(CertificateWorld(valid_days=365))
    for _ in range(10):
        certificates.wait(days=320)
        [row] = [row for row in certificates.world.rows.values() if row.status is ISSUED]
        renewed = certificates.renew(row.id)
        assert certificates.renew(row.id).certificate_id == renewed.certificate_id
        certificates.wait(minutes=5)
    certificates.wait(days=400)
    certificates.outcome()
    assert certificates.world.statuses() == [SUPERSEDED] * 10 + [EXPIRED]
    assert certificates.world.sent().count(MAILED) == 11
    assert set(certificates.world.rendered.values()) == {1}


def test_an_expired_one_is_renewed_by_a_run_of_its_own() -> None:
    certificates = certified(CertificateWorld(valid_days=365))
    certificates.wait(days=370)
    old = certificates.only
    certificates.outcome()
    assert _refusal(certificates.renew, UUID(int=99)) == Reason.NOT_FOUND
    renewed = certificates.renew(old)
    assert renewed.certificate_id != old
    certificates.wait(minutes=5)
    assert certificates.world.statuses() == [EXPIRED, ISSUED]
    assert certificates.run.query(CertificateWorkflow.status).waiting_for is WaitingFor.TIMER


def test_messages_after_the_end_begin_another_run() -> None:
    certificates = certified()
    certificates.outcome()
    only = certificates.only
    assert certificates.revoke(only).status is REVOKED
    certificates.wait(minutes=5)
    certificates.outcome()
    assert _refusal(certificates.issue) == Reason.CERTIFICATE_NOT_ELIGIBLE
    certificates.wait(minutes=5)
    assert certificates.reinstate(only).status is ISSUED
    certificates.wait(minutes=5)
    certificates.outcome()
    certificates.resend(only)
    certificates.resend(only)
    certificates.wait(minutes=5)
    certificates.outcome()
    assert certificates.world.sent() == [
        MAILED, (MailTemplate.CERTIFICATE_REVOKED, ""), (MailTemplate.CERTIFICATE_ISSUED, f"copy_{1:032x}"),
    ]  # fmt: skip


def test_what_was_revoked_is_reinstated_never_issued_anew() -> None:
    certificates = certified()
    certificates.revoke(certificates.only)
    certificates.wait(minutes=5)
    assert _refusal(certificates.issue) == Reason.CERTIFICATE_NOT_ELIGIBLE
    certificates.run.signal(CertificateWorkflow.completed)
    certificates.wait(minutes=5)
    assert certificates.outcome() == CertificateOutcome(grounds=(CertificateGround.REVOKED_BEFORE,))
    assert certificates.world.statuses() == [REVOKED]


def test_a_certificate_that_is_revoked_while_it_is_rendered_is_not_mailed_until_it_counts_again() -> None:
    certificates = certifying()
    certificates.world.is_renderer_away = True
    certificates.issue()
    certificates.wait(seconds=30)
    assert certificates.revoke(certificates.only).status is REVOKED
    certificates.world.is_renderer_away = False
    certificates.wait(hours=1)
    assert certificates.world.sent() == [(MailTemplate.CERTIFICATE_REVOKED, "")]
    certificates.reinstate(certificates.only)
    certificates.wait(minutes=5)
    certificates.outcome()
    assert certificates.world.sent()[1:] == [MAILED]
    assert set(certificates.world.rendered.values()) == {1}


def test_what_cannot_be_rendered_is_told_and_tried_again_once_it_is_mended() -> None:
    certificates = certifying(CertificateWorld(is_render_broken=True))
    certificates.issue()
    certificates.wait(days=1)
    assert certificates.run.query(CertificateWorkflow.status).needs_human
    assert certificates.world.steps_done["render"] == 1
    certificates.world.is_render_broken = False
    certificates.run.signal(CertificateWorkflow.facts_changed)
    certificates.wait(minutes=5)
    certificates.outcome()
    assert certificates.world.sent() == [MAILED]


def test_a_copy_that_waits_for_its_pdf_is_handed_over_to_the_next_run() -> None:
    certificates = certifying(CertificateWorld(is_render_broken=True))
    certificates.issue()
    certificates.wait(days=1)
    certificates.resend(certificates.only)
    certificates.wait(minutes=5)
    certificates.simulation.build = 2
    certificates.run.signal(CertificateWorkflow.facts_changed)
    certificates.wait(minutes=5)
    assert certificates.run.build == 2
    certificates.world.is_render_broken = False
    certificates.run.signal(CertificateWorkflow.facts_changed)
    certificates.wait(minutes=5)
    certificates.outcome()
    assert sorted(certificates.world.sent()) == [MAILED, (MailTemplate.CERTIFICATE_ISSUED, f"copy_{1:032x}")]


def test_a_mail_server_that_is_down_stops_no_change() -> None:
    certificates = certifying(CertificateWorld(is_mail_down=True, needs_person=False))
    certificates.issue()
    for _ in range(5):
        certificates.wait(minutes=15)
        certificates.run.signal(CertificateWorkflow.facts_changed)
    # The ledger does not know it yet; it is on its way all the same.
    assert [each.order.activity_type for each in certificates.run.attempts.values()].count("send_mail") == 1
    corrected = certificates.correct(certificates.only)
    certificates.wait(minutes=5)
    assert certificates.world.rendered[corrected.certificate_id or UUID(int=0)] == 1
    certificates.world.is_mail_down = False
    certificates.wait(hours=1)
    certificates.outcome()
    assert certificates.world.statuses() == [SUPERSEDED, ISSUED]


# ---- another name ----


def test_a_small_slip_is_corrected_at_once() -> None:
    certificates = certified(CertificateWorld(needs_person=False))
    old = certificates.only
    answer = certificates.correct(old)
    assert not answer.needs_person
    assert certificates.correct(old).certificate_id == answer.certificate_id
    certificates.wait(minutes=5)
    certificates.outcome()
    assert certificates.world.statuses() == [SUPERSEDED, ISSUED]
    assert certificates.world.sent() == [MAILED, MAILED]
    assert certificates.world.tasks == {}


@pytest.mark.parametrize("action", [TaskAction.APPROVE, TaskAction.REJECT])
def test_another_name_waits_for_a_person(action: TaskAction) -> None:
    certificates = certified()
    old = certificates.only
    assert certificates.correct(old).needs_person
    assert certificates.correct(old).needs_person
    certificates.wait(days=30)
    [task] = certificates.world.open_tasks()
    assert (task.kind, task.subject_id) == (TaskKind.NAME_CORRECTION, old)
    assert certificates.run.query(CertificateWorkflow.status).needs_human
    certificates.decide(action)
    is_approved = action is TaskAction.APPROVE
    assert certificates.world.statuses() == ([SUPERSEDED, ISSUED] if is_approved else [ISSUED])
    certificates.wait(minutes=5)
    certificates.outcome()
    rejected = (MailTemplate.CERTIFICATE_CORRECTION_REJECTED, f"{101:032x}")
    assert certificates.world.sent() == [MAILED, MAILED if is_approved else rejected]


def test_a_wish_whose_update_never_came_is_put_before_a_person_all_the_same() -> None:
    certificates = certified()
    old, wish = certificates.only, UUID(int=101)
    certificates.world.corrections[wish], certificates.world.corrected[wish] = "requested", old
    certificates.start(origin=None).signal(CertificateWorkflow.facts_changed)
    certificates.wait(minutes=5)
    [task] = certificates.world.open_tasks()
    assert (task.kind, task.subject_id) == (TaskKind.NAME_CORRECTION, old)
    assert certificates.correct(old).needs_person
    certificates.wait(days=1)
    assert len(certificates.world.tasks) == 1
    certificates.decide(TaskAction.APPROVE)
    certificates.wait(minutes=5)
    certificates.outcome()
    assert certificates.world.statuses() == [SUPERSEDED, ISSUED]


def test_a_slip_whose_update_never_came_is_corrected_all_the_same() -> None:
    certificates = certified(CertificateWorld(needs_person=False))
    wish = UUID(int=101)
    certificates.world.corrections[wish], certificates.world.corrected[wish] = "requested", certificates.only
    certificates.start(origin=None).signal(CertificateWorkflow.facts_changed)
    certificates.wait(minutes=5)
    certificates.outcome()
    assert certificates.world.statuses() == [SUPERSEDED, ISSUED]
    assert certificates.world.sent() == [MAILED, MAILED]


def test_that_a_name_stays_as_it_is_waits_for_no_pdf() -> None:
    certificates = certifying(CertificateWorld(is_render_broken=True))
    certificates.issue()
    certificates.correct(certificates.only)
    certificates.wait(days=1)
    certificates.decide(TaskAction.REJECT)
    certificates.wait(minutes=5)
    assert certificates.world.sent() == [(MailTemplate.CERTIFICATE_CORRECTION_REJECTED, f"{101:032x}")]


def test_a_correction_and_a_renewal_at_once_give_one_certificate_that_counts() -> None:
    for number in plays(40):
        certificates = certified(CertificateWorld(valid_days=365, needs_person=number % 2 == 0), str(number))
        certificates.wait(days=310)
        old, chance = certificates.only, random.Random(number)  # noqa: S311 - the same race every time
        calls = [certificates.renew, certificates.correct]
        chance.shuffle(calls)  # type: ignore[arg-type]
        for call in calls:
            assert _refusal(call, old) in (None, Reason.CERTIFICATE_NOT_ISSUED, Reason.CERTIFICATE_NOT_RENEWABLE)
            certificates.wait(seconds=chance.choice((0, 1, 60)))
        if certificates.world.open_tasks():
            certificates.decide(TaskAction.APPROVE)
        certificates.wait(days=1)
        certificates.world.check()
        statuses = certificates.world.statuses()
        assert statuses[0] is SUPERSEDED
        assert statuses.count(ISSUED) == 1


# ---- another build, and a long life ----


@pytest.mark.parametrize("after_days", [1, 20])
def test_a_wait_goes_on_with_the_newest_build(after_days: int) -> None:
    certificates = certifying(CertificateWorld(is_name_confirmed=False))
    first = certificates.start()
    certificates.wait(days=after_days)
    certificates.simulation.build = 2
    first.signal(CertificateWorkflow.facts_changed)
    certificates.wait(minutes=5)
    assert certificates.run.build == 2
    assert first.successor is not None
    certificates.wait(days=20)
    assert certificates.world.sent() == ASKED
    certificates.decide(TaskAction.APPROVE)
    certificates.wait(minutes=5)
    assert certificates.outcome() == CertificateOutcome(certificates=1)
    assert certificates.world.sent() == [*ASKED, MAILED]


def test_no_build_has_to_stay_longer_than_a_month_for_a_certificate() -> None:
    certificates = certified(CertificateWorld(valid_days=3650))
    waiting = certifying(CertificateWorld(is_name_confirmed=False))
    waiting.issue()
    waiting.wait(days=100)
    for each in (certificates, waiting):
        each.simulation.build = 2
        each.wait(days=31)
        assert each.run.build == 2
    assert len(waiting.world.tasks) == 1


def test_a_run_whose_first_message_is_refused_looks_after_what_there_is() -> None:
    certificates = certified(CertificateWorld(valid_days=365))
    certificates.wait(days=2)
    certificates.simulation.build, first = 2, certificates.run
    first.signal(CertificateWorkflow.facts_changed)
    certificates.simulation.run_until(lambda: first.successor is not None)
    assert _refusal(certificates.revoke, UUID(int=99)) == Reason.NOT_FOUND
    certificates.wait(days=400)
    certificates.outcome()
    assert certificates.world.statuses() == [EXPIRED]


def test_a_correction_that_waits_goes_on_with_the_newest_build() -> None:
    certificates = certified()
    certificates.correct(certificates.only)
    certificates.wait(days=2)
    certificates.simulation.build = 2
    certificates.run.signal(CertificateWorkflow.facts_changed)
    certificates.wait(minutes=5)
    assert certificates.run.build == 2
    assert len(certificates.world.tasks) == 1
    certificates.decide(TaskAction.APPROVE)
    certificates.wait(minutes=5)
    certificates.outcome()
    assert certificates.world.statuses() == [SUPERSEDED, ISSUED]


def test_a_long_life_is_told_in_several_runs() -> None:
    certificates = certifying(CertificateWorld(valid_days=365))
    first = certificates.start()
    certificates.simulation.suggests_continuing = True
    certificates.wait(days=400)
    runs, run = 1, first
    while run.successor is not None:
        runs, run = runs + 1, run.successor
    assert 14 <= runs <= 17
    certificates.outcome()
    assert certificates.world.statuses() == [EXPIRED]
    assert len(certificates.world.sent()) == 5


# ---- whatever happens when ----


@pytest.mark.parametrize("part", parts(2, 4))
def test_whatever_is_late_lost_or_said_twice_each_is_issued_and_mailed_once(part: int) -> None:
    for number in range(75):
        _live_through(f"{part}-{number}")


def _live_through(seed: str) -> None:
    chance = random.Random(seed)  # noqa: S311 - the same life every time
    world = CertificateWorld(
        is_name_confirmed=chance.random() < 0.5,
        valid_days=chance.choice((None, 365)),
        needs_person=chance.random() < 0.5,
    )
    certificates = certifying(world, seed, Mishaps(answer_lost=0.15, worker_away=0.1))
    certificates.simulation.suggests_continuing = chance.random() < 0.3
    certificates.start()
    moves = (
        _confirm, _revoke, _reinstate, _renew, _correct, _decide, _issue_again, _resend, _wait_long, _say_so, _complete,
        _cancel, _new_build,
    )  # fmt: skip
    for _ in range(chance.randrange(1, 12)):
        certificates.wait(seconds=chance.choice((0, 1, 5, 600, 86_400, 86_400 * 9)))
        _quietly(chance.choice(moves), certificates, chance)
        world.check()
    # In the end everybody does their part.
    certificates.wait(days=30)
    for _ in range(5):
        _quietly(_confirm, certificates, chance)
        certificates.wait(days=1)
        _quietly(_decide, certificates, chance)
    certificates.wait(days=800)
    assert certificates.run.ended is not None, seed
    certificates.outcome()
    assert set(world.rendered.values()) <= {1}, seed
    world.check_posts()
    told = {key[1] for key in world.mails}
    assert {row.id for row in world.rows.values() if row.status in (EXPIRED, REVOKED)} <= told, seed


def _refusal(move: Callable[..., object], *args: object) -> str | None:
    """Why it is refused, if it is."""
    try:
        move(*args)
    except WorkflowUpdateFailedError as failed:
        return failed.cause.type if isinstance(failed.cause, ApplicationError) else str(failed.cause)
    return None


def _quietly(move: Callable[..., object], certificates: Certifying, chance: random.Random) -> None:
    assert _refusal(move, certificates, chance) in {None, *Reason}


def _latest(certificates: Certifying) -> UUID:
    rows = certificates.world.by_number()
    return rows[-1].id if rows else UUID(int=99)


def _confirm(certificates: Certifying, chance: random.Random) -> None:
    certificates.confirm_name(told=chance.random() < 0.7)


def _revoke(certificates: Certifying, _: random.Random) -> None:
    certificates.revoke(_latest(certificates))


def _reinstate(certificates: Certifying, _: random.Random) -> None:
    certificates.reinstate(_latest(certificates))


def _renew(certificates: Certifying, _: random.Random) -> None:
    certificates.renew(_latest(certificates))


def _correct(certificates: Certifying, chance: random.Random) -> None:
    certificates.correct(_latest(certificates), chance.randrange(1, 4))


def _decide(certificates: Certifying, chance: random.Random) -> None:
    for task in certificates.world.open_tasks():
        action = chance.choice(task.allowed_actions)
        certificates.tell(CertificateWorkflow.decide, _decision(task.task_id, action))


def _decision(task_id: UUID, action: TaskAction) -> DecideTask:
    return DecideTask(task_id=task_id, action=action, actor=STAFF)


def _issue_again(certificates: Certifying, chance: random.Random) -> None:
    certificates.issue(chance.choice((COMPLETION, EXCEPTION)))


def _resend(certificates: Certifying, chance: random.Random) -> None:
    if certificates.world.rows:
        certificates.resend(_latest(certificates), chance.randrange(1, 4))


def _complete(certificates: Certifying, _: random.Random) -> None:
    certificates.run.signal(CertificateWorkflow.completed)


def _cancel(certificates: Certifying, _: random.Random) -> None:
    certificates.run.cancel()


def _wait_long(certificates: Certifying, chance: random.Random) -> None:
    certificates.simulation.run_for(timedelta(days=chance.choice((20, 100, 305))))


def _say_so(certificates: Certifying, _: random.Random) -> None:
    certificates.run.signal(CertificateWorkflow.facts_changed)


def _new_build(certificates: Certifying, _: random.Random) -> None:
    certificates.simulation.build += 1
