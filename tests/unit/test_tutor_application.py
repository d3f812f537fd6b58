"""What an application lacks, who may send another one, and what a reviewer may decide: by example and by property."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import pytest
from dateutil.relativedelta import relativedelta
from hypothesis import given
from hypothesis import strategies as st

from models.errors import Reason
from models.vocabulary import ApplicationDocumentKind, ApplicationStatus, DocumentVerdict, ReviewReason, TaskAction
from rules.lifecycle import may_follow
from rules.tutor_application import (
    EDITABLE,
    ERASED,
    LIVE,
    MAX_INFO_ROUNDS,
    REJECTED,
    WITH_REVIEWERS,
    Earlier,
    Required,
    Said,
    Shown,
    erase_at,
    is_override,
    may_apply,
    may_decide,
    may_send,
    missing,
    reapply_at,
    welcome_from,
)

S, A = ApplicationStatus, TaskAction
CERTIFICATION, IDENTITY, VIDEO = ApplicationDocumentKind
TODAY = date(2026, 11, 17)
NOON = datetime(2026, 11, 17, 12, tzinfo=UTC)
DAY = timedelta(days=1)

SPANISH = Required("spanish", requires_certification=True, requires_video=False, is_open=True)
DANCE = Required("dance", requires_certification=False, requires_video=True, is_open=True)
LATIN = Required("latin", requires_certification=False, requires_video=False, is_open=False)
PIANO = Required("piano", requires_certification=False, requires_video=False, is_open=True)
EVERY = (SPANISH, DANCE, LATIN, PIANO)

FULL = Said("A certificate.", "A university.", "A life.", ("spanish", "dance"))
COMPLETE = (Shown(IDENTITY, None), Shown(CERTIFICATION, "spanish"), Shown(VIDEO, None))
ACCEPTED = tuple(Shown(each.kind, each.subject, verdict=DocumentVerdict.ACCEPTED) for each in COMPLETE)
ONE_REJECTED = (*ACCEPTED[1:], Shown(IDENTITY, None, verdict=DocumentVerdict.REJECTED, reason=ReviewReason.OTHER))


# ---- what is missing ----


def test_a_complete_application_lacks_nothing() -> None:
    assert missing(FULL, EVERY, COMPLETE, TODAY) == ()


def test_an_empty_one_lacks_everything() -> None:
    assert missing(Said(None, None, None, ()), (), (), TODAY) == ("bio", "qualifications", "subjects", "identity")
    asked = Said(None, " ", "\n", ("spanish", "dance", "latin", "gone"))
    assert missing(asked, EVERY, (), TODAY) == (
        "bio", "qualifications", "subject_closed:latin", "subject_closed:gone", "certifications", "identity", "video",
        "certification:spanish",
    )  # fmt: skip


def test_each_thing_is_missed_once_and_alone() -> None:
    said = {"bio": "bio", "qualifications": "qualifications", "certifications": "certifications"}
    for field, word in said.items():
        parts = {name: getattr(FULL, name) for name in ("certifications", "qualifications", "bio", "subjects")}
        assert missing(Said(**parts | {field: "  "}), EVERY, COMPLETE, TODAY) == (word,)
    for place, word in enumerate(("identity", "certification:spanish", "video")):
        shown = COMPLETE[:place] + COMPLETE[place + 1 :]
        assert missing(FULL, EVERY, shown, TODAY) == (word,)
    twice = Said(FULL.certifications, FULL.qualifications, FULL.bio, ("latin", "latin"))
    assert missing(twice, EVERY, COMPLETE, TODAY) == ("subject_closed:latin",)


def test_a_certification_counts_for_its_own_subject() -> None:
    other = (*COMPLETE[:1], Shown(CERTIFICATION, "dance"), Shown(CERTIFICATION, None), COMPLETE[2])
    assert missing(FULL, EVERY, other, TODAY) == ("certification:spanish",)


def test_certifications_need_words_where_one_is_shown_or_asked_for() -> None:
    silent = Said(None, "A university.", "A life.", ("piano",))
    identity = COMPLETE[:1]
    assert missing(silent, EVERY, identity, TODAY) == ()
    assert missing(silent, EVERY, (*identity, Shown(CERTIFICATION, None)), TODAY) == ("certifications",)


@pytest.mark.parametrize(
    ("shown", "counts"),
    [
        (Shown(IDENTITY, None, expires_on=TODAY), True),
        (Shown(IDENTITY, None, expires_on=TODAY - DAY), False),
        (Shown(IDENTITY, None, verdict=DocumentVerdict.ACCEPTED), True),
        (Shown(IDENTITY, None, verdict=DocumentVerdict.REJECTED, reason=ReviewReason.NAME_DIFFERS), False),
    ],
)
def test_what_has_expired_or_was_rejected_does_not_count(shown: Shown, *, counts: bool) -> None:
    assert missing(FULL, EVERY, (*COMPLETE[1:], shown), TODAY) == (() if counts else ("identity",))
    # Another one that does count makes up for it.
    assert missing(FULL, EVERY, (*COMPLETE, shown), TODAY) == ()


shown_documents = st.lists(
    st.builds(
        Shown,
        st.sampled_from(ApplicationDocumentKind),
        st.none() | st.sampled_from([each.code for each in EVERY]),
        st.none() | st.sampled_from([TODAY - DAY, TODAY, TODAY + DAY]),
        st.none() | st.sampled_from(DocumentVerdict),
    ),
    max_size=6,
)
texts = st.none() | st.sampled_from(["", " ", "words"])
wishes = st.lists(st.sampled_from([*(each.code for each in EVERY), "gone"]), max_size=5).map(tuple)
sayings = st.builds(Said, texts, texts, texts, wishes)


@given(sayings, shown_documents, shown_documents)
def test_more_that_is_shown_never_makes_more_missing_but_words_about_it(
    said: Said, shown: list[Shown], more: list[Shown]
) -> None:
    before, after = missing(said, EVERY, shown, TODAY), missing(said, EVERY, [*shown, *more], TODAY)
    assert set(after) <= {*before, "certifications"}
    assert len(set(after)) == len(after)


@given(sayings, shown_documents)
def test_giving_all_that_is_missing_is_enough(said: Said, shown: list[Shown]) -> None:
    words = missing(said, EVERY, shown, TODAY)
    subjects = tuple(code for code in said.subjects if f"subject_closed:{code}" not in words) or ("piano",)
    given_now = Said("Words.", "Words.", "Words.", subjects)
    new = [Shown(IDENTITY, None)] if "identity" in words else []
    new += [Shown(VIDEO, None)] if "video" in words else []
    new += [Shown(CERTIFICATION, word.partition(":")[2]) for word in words if word.startswith("certification:")]
    assert missing(given_now, EVERY, [*shown, *new], TODAY) == ()


# ---- who may apply ----


def earlier(status: ApplicationStatus, days_ago: int | None = None, reapply: datetime | None = None) -> Earlier:
    return Earlier(status, None if days_ago is None else NOON - days_ago * DAY, reapply)


def test_who_has_never_applied_may() -> None:
    assert may_apply((), NOON, is_tutor=False) is None
    refused = may_apply((), NOON, is_tutor=True)
    assert refused is not None
    assert refused.reason is Reason.ALREADY_TUTOR


@pytest.mark.parametrize("status", list(S))
def test_one_at_a_time(status: ApplicationStatus) -> None:
    refused = may_apply([earlier(status, 5)], NOON, is_tutor=False)
    assert (refused is not None) == (status in LIVE)
    assert refused is None or refused.reason is Reason.APPLICATION_EXISTS


def test_after_a_soft_rejection_at_once_and_after_a_hard_one_in_ninety_days() -> None:
    assert reapply_at(S.REJECTED_SOFT, NOON) == NOON
    again_at = reapply_at(S.REJECTED_HARD, NOON)
    assert again_at == NOON + 90 * DAY
    assert {reapply_at(status, NOON) for status in S if status not in REJECTED} == {None}
    assert may_apply([earlier(S.REJECTED_SOFT, 5, NOON)], NOON, is_tutor=False) is None
    hard = earlier(S.REJECTED_HARD, 5, again_at)
    refused = may_apply([hard], NOON + 90 * DAY - timedelta(seconds=1), is_tutor=False)
    assert refused is not None
    assert refused.reason is Reason.REAPPLY_TOO_SOON
    assert "2027-02-15" in refused.detail
    assert may_apply([hard], NOON + 90 * DAY, is_tutor=False) is None


def test_three_that_were_sent_within_twelve_months_are_enough() -> None:
    sent = [earlier(S.WITHDRAWN, days) for days in (10, 20, 364)]
    refused = may_apply(sent, NOON, is_tutor=False)
    assert refused is not None
    assert refused.reason is Reason.TOO_MANY_APPLICATIONS
    assert "2026-11-18" in refused.detail
    assert may_apply(sent[:2], NOON, is_tutor=False) is None
    # Drafts that were never sent do not count, and what is a year old does not any more.
    assert may_apply([*sent[:2], *[earlier(S.EXPIRED)] * 5], NOON, is_tutor=False) is None
    assert may_apply([*sent[:2], earlier(S.WITHDRAWN, 365)], NOON, is_tutor=False) is None


sent_days = st.lists(st.integers(0, 800), max_size=8)


@given(sent_days)
def test_at_most_three_are_sent_in_any_twelve_months(days: list[int]) -> None:
    """Whoever sends one each time it is allowed never has a fourth within a year of the first."""
    sent: list[datetime] = []
    for day in sorted(days):
        moment = NOON + day * DAY
        refused = may_send([Earlier(S.WITHDRAWN, at, None) for at in sent], moment)
        recent = [at for at in sent if at + relativedelta(months=12) > moment]
        assert (refused is None) == (len(recent) < 3)
        if refused is None:
            sent.append(moment)
        else:
            free_at = recent[-3] + relativedelta(months=12)
            assert f"{free_at:%Y-%m-%d}" in refused.detail
            assert may_send([Earlier(S.WITHDRAWN, at, None) for at in sent], free_at) is None
    for first, fourth in zip(sent, sent[3:], strict=False):
        assert fourth >= first + relativedelta(months=12)


@given(sent_days, st.none() | st.integers(-100, 500))
def test_who_waits_until_they_are_welcome_may_apply_and_not_before(days: list[int], wait: int | None) -> None:
    again = None if wait is None else NOON + wait * DAY
    known = [*[earlier(S.WITHDRAWN, day) for day in days], earlier(S.REJECTED_HARD, 900, again)]
    welcome = welcome_from(known, NOON)
    assert (welcome is None) == (may_apply(known, NOON, is_tutor=False) is None)
    if welcome is not None:
        assert may_apply(known, welcome, is_tutor=False) is None
        assert may_apply(known, welcome - timedelta(seconds=1), is_tutor=False) is not None


# ---- what is kept, and for how long ----


def test_what_came_to_nothing_is_erased_after_a_year_and_a_draft_at_once() -> None:
    for status in S:
        kept_until = erase_at(status, NOON, was_sent=True)
        assert kept_until == (datetime(2027, 11, 17, 12, tzinfo=UTC) if status in ERASED else None)
    assert erase_at(S.EXPIRED, NOON, was_sent=False) == NOON
    leap = datetime(2028, 2, 29, 12, tzinfo=UTC)
    assert erase_at(S.WITHDRAWN, leap, was_sent=True) == datetime(2029, 2, 28, 12, tzinfo=UTC)


def test_the_states_are_live_or_have_an_end() -> None:
    assert {status for status in S if any(may_follow(status, other) for other in S)} == LIVE
    assert LIVE.isdisjoint(ERASED)
    assert set(S) - LIVE - ERASED == {S.APPROVED}
    assert LIVE - WITH_REVIEWERS == EDITABLE


# ---- what may be decided ----


def decide(
    action: TaskAction,
    shown: Sequence[Shown] = ACCEPTED,
    *,
    status: ApplicationStatus = S.IN_REVIEW,
    rounds: int = 0,
    reasons: Sequence[ReviewReason] = (ReviewReason.OTHER,),
) -> Reason | None:
    refused = may_decide(action, reasons, shown, status=status, rounds=rounds)
    return None if refused is None else refused.reason


DECISIONS = (A.APPROVE, A.REQUEST_INFO, A.REJECT_SOFT, A.REJECT_HARD)


@pytest.mark.parametrize("action", DECISIONS)
@pytest.mark.parametrize("status", list(S))
def test_only_what_is_with_the_reviewers_is_decided(action: TaskAction, status: ApplicationStatus) -> None:
    expected = None if status in WITH_REVIEWERS else Reason.APPLICATION_NOT_IN_REVIEW
    assert decide(action, status=status) is expected


@pytest.mark.parametrize("action", DECISIONS)
def test_whatever_is_no_approval_needs_a_reason(action: TaskAction) -> None:
    assert decide(action, reasons=()) is (None if action is A.APPROVE else Reason.REASONS_REQUIRED)


def test_an_approval_needs_a_verdict_on_every_document() -> None:
    assert decide(A.APPROVE, COMPLETE) is Reason.VERDICTS_MISSING
    assert decide(A.APPROVE, (*ACCEPTED, Shown(CERTIFICATION, "dance"))) is Reason.VERDICTS_MISSING
    assert decide(A.APPROVE, ONE_REJECTED) is None
    for action in DECISIONS[1:]:
        assert decide(action, COMPLETE) is None


def test_information_is_asked_for_three_times_at_most() -> None:
    assert [decide(A.REQUEST_INFO, rounds=rounds) for rounds in range(MAX_INFO_ROUNDS)] == [None] * 3
    assert decide(A.REQUEST_INFO, rounds=MAX_INFO_ROUNDS) is Reason.TOO_MANY_INFO_ROUNDS
    for action in (A.APPROVE, A.REJECT_SOFT, A.REJECT_HARD):
        assert decide(action, rounds=MAX_INFO_ROUNDS) is None


@given(st.sampled_from(TaskAction), shown_documents)
def test_an_override_approves_although_a_document_was_rejected(action: TaskAction, shown: list[Shown]) -> None:
    has_rejected = any(each.verdict is DocumentVerdict.REJECTED for each in shown)
    assert is_override(action, shown) == (action is A.APPROVE and has_rejected)
