"""Certificates by rule: who is due one, until when it is valid, who hears of its end, and when it can be renewed."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.vocabulary import (
    BatchOutcome,
    CertificateGround,
    CertificateOrigin,
    CertificateStatus,
    EnrollmentStatus,
    MailTemplate,
)
from rules.certificates import (
    NOTICE_DAYS,
    RENEWABLE_BEFORE,
    Candidate,
    Term,
    code_of,
    due_notice,
    grounds_against,
    is_lapsed,
    is_over,
    is_renewable,
    may_be_followed,
    next_notice,
    notices,
    outcome_of,
    renewed_from,
    stamp,
    validity,
)

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ENDS = NOON + timedelta(days=365)
TERM = Term(NOON, NOON, ENDS)
COMPLETION, EXCEPTION = CertificateOrigin.COMPLETION, CertificateOrigin.EXCEPTION
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
ZONES = st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Apia", "America/Sao_Paulo"])


def candidate(
    status: EnrollmentStatus = EnrollmentStatus.ACTIVE,
    completed: bool = True,
    confirmed: bool = True,
    templates: int = 1,
    due: int = 1,
    has: bool = False,
    lapsed: bool = False,
    ending: bool = False,
) -> Candidate:
    return Candidate(status, completed, confirmed, templates, due, has, lapsed, ending)


# ---- who is due one ----


@pytest.mark.parametrize(
    ("given_", "origin", "grounds", "outcome"),
    [
        (candidate(), COMPLETION, (), BatchOutcome.ISSUED),
        (candidate(status=EnrollmentStatus.EXPIRED), COMPLETION, (), BatchOutcome.ISSUED),
        (candidate(completed=False), COMPLETION, (CertificateGround.NOT_COMPLETED,), BatchOutcome.NOT_ELIGIBLE),
        (candidate(completed=False), EXCEPTION, (), BatchOutcome.ISSUED),
        (
            candidate(EnrollmentStatus.PENDING_PAYMENT, completed=False),
            EXCEPTION,
            (CertificateGround.NOT_COMPLETED,),
            BatchOutcome.NOT_ELIGIBLE,
        ),
        (candidate(confirmed=False), COMPLETION, (CertificateGround.NAME_UNCONFIRMED,), BatchOutcome.WAITING),
        (candidate(confirmed=False), EXCEPTION, (CertificateGround.NAME_UNCONFIRMED,), BatchOutcome.WAITING),
        (
            candidate(completed=False, confirmed=False),
            COMPLETION,
            (CertificateGround.NOT_COMPLETED, CertificateGround.NAME_UNCONFIRMED),
            BatchOutcome.NOT_ELIGIBLE,
        ),
        (
            candidate(EnrollmentStatus.CANCELED),
            EXCEPTION,
            (CertificateGround.ENROLLMENT_CANCELED,),
            BatchOutcome.NOT_ELIGIBLE,
        ),
        (candidate(templates=0, due=0), COMPLETION, (CertificateGround.NO_TEMPLATE,), BatchOutcome.NOT_ELIGIBLE),
        (candidate(ending=True), COMPLETION, (CertificateGround.ENROLLMENT_CANCELED,), BatchOutcome.NOT_ELIGIBLE),
        (candidate(due=0), EXCEPTION, (CertificateGround.REVOKED_BEFORE,), BatchOutcome.NOT_ELIGIBLE),
        (candidate(due=0, lapsed=True), COMPLETION, (CertificateGround.EXPIRED_BEFORE,), BatchOutcome.NOT_ELIGIBLE),
        (candidate(due=0, has=True), COMPLETION, (), BatchOutcome.EXISTING),
        (candidate(EnrollmentStatus.CANCELED, due=0, has=True), COMPLETION, (), BatchOutcome.EXISTING),
        (candidate(templates=2, due=1, has=True), COMPLETION, (), BatchOutcome.ISSUED),
        (
            candidate(EnrollmentStatus.CANCELED, templates=2, due=1, has=True),
            COMPLETION,
            (CertificateGround.ENROLLMENT_CANCELED,),
            BatchOutcome.EXISTING,
        ),
    ],
)
def test_what_stands_between(
    given_: Candidate, origin: CertificateOrigin, grounds: tuple[CertificateGround, ...], outcome: BatchOutcome
) -> None:
    assert grounds_against(given_, origin) == grounds
    assert outcome_of(given_, grounds) is outcome


# ---- how long it is valid ----


def test_it_is_valid_through_the_whole_of_its_last_day() -> None:
    late = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)  # the second in Berlin
    valid = validity(late, 365, 30, BERLIN)
    assert valid.expires_at == datetime(2027, 3, 2, 22, 59, 59, tzinfo=UTC)
    assert valid.renewable_until == datetime(2027, 4, 1, 21, 59, 59, tzinfo=UTC)  # summer time
    assert not is_over(valid.expires_at, valid.expires_at - timedelta(seconds=1))
    assert is_over(valid.expires_at, valid.expires_at)


def test_without_days_it_is_valid_for_good() -> None:
    assert validity(NOON, None, 0, BERLIN).expires_at is None
    assert not is_over(None, NOON)


@given(MOMENTS, st.integers(1, 4000), st.integers(0, 400), ZONES)
def test_its_grace_never_ends_before_it_does(moment: datetime, days: int, grace: int, zone: str) -> None:
    valid = validity(moment, days, grace, ZoneInfo(zone))
    assert valid.expires_at is not None
    assert valid.renewable_until is not None
    assert moment + timedelta(days=days - 1) < valid.expires_at <= valid.renewable_until


# ---- renewing ----


@pytest.mark.parametrize(
    ("status", "moment", "renewable"),
    [
        (CertificateStatus.ISSUED, ENDS - RENEWABLE_BEFORE - timedelta(seconds=1), False),
        (CertificateStatus.ISSUED, ENDS - RENEWABLE_BEFORE, True),
        (CertificateStatus.EXPIRED, ENDS, True),
        (CertificateStatus.EXPIRED, ENDS + timedelta(days=30), True),
        (CertificateStatus.EXPIRED, ENDS + timedelta(days=30, seconds=1), False),
        (CertificateStatus.REVOKED, ENDS, False),
        (CertificateStatus.SUPERSEDED, ENDS, False),
    ],
)
def test_when_it_can_be_renewed(status: CertificateStatus, moment: datetime, renewable: bool) -> None:
    assert is_renewable(status, TERM, ENDS + timedelta(days=30), moment) is renewable


def test_without_grace_it_can_be_renewed_until_it_ends() -> None:
    assert is_renewable(CertificateStatus.ISSUED, TERM, None, ENDS)
    assert not is_renewable(CertificateStatus.EXPIRED, TERM, None, ENDS + timedelta(seconds=1))


def test_what_never_expires_is_never_renewed() -> None:
    assert not is_renewable(CertificateStatus.ISSUED, Term(NOON, NOON, None), None, NOON)


def test_nobody_loses_days_by_renewing_early() -> None:
    assert renewed_from(ENDS - timedelta(days=60), ENDS) == ENDS
    assert renewed_from(ENDS + timedelta(days=3), ENDS) == ENDS + timedelta(days=3)


# ---- who hears of its end ----


def test_a_year_of_notices() -> None:
    moment, told = NOON, []
    while (following := next_notice(TERM, moment)) is not None:
        moment = following
        notice = due_notice(TERM, moment)
        assert notice is not None
        told.append(((ENDS - moment).days, notice.template, notice.occasion))
    assert told == [
        *((days, MailTemplate.CERTIFICATE_EXPIRING, f"{days}d") for days in NOTICE_DAYS),
        (0, MailTemplate.CERTIFICATE_EXPIRED, ""),
    ]


def test_of_several_past_notices_only_the_latest_counts() -> None:
    notice = due_notice(TERM, ENDS - timedelta(days=5))
    assert notice is not None
    assert notice.occasion == "7d"


@pytest.mark.parametrize(
    ("days", "told"), [(1, [0]), (10, [0]), (14, [7, 0]), (20, [7, 0]), (61, [30, 7, 0]), (120, [60, 30, 7, 0])]
)
def test_nobody_is_told_of_the_end_in_the_first_half(days: int, told: list[int]) -> None:
    ends = NOON + timedelta(days=days)
    assert [(ends - notice.due_at).days for notice in notices(Term(NOON, NOON, ends))] == told


def test_nobody_is_told_of_the_end_on_the_day_of_the_issue() -> None:
    corrected = Term(ENDS - timedelta(days=7, hours=23), NOON, ENDS)
    assert [notice.occasion for notice in notices(corrected)] == [""]


def test_a_renewal_is_told_of_its_end_in_its_own_second_half() -> None:
    ends = NOON + timedelta(days=100)
    assert [notice.occasion for notice in notices(Term(NOON, NOON + timedelta(days=50), ends))] == ["7d", ""]


@pytest.mark.parametrize(("days", "from_day"), [(365, 305), (90, 45), (1, 0.5)])
def test_what_is_valid_for_a_short_time_is_renewed_in_its_second_half(days: int, from_day: float) -> None:
    term = Term(NOON, NOON, NOON + timedelta(days=days))
    opens_at = NOON + timedelta(days=from_day)
    assert is_renewable(CertificateStatus.ISSUED, term, None, opens_at)
    assert not is_renewable(CertificateStatus.ISSUED, term, None, opens_at - timedelta(seconds=1))


def test_a_renewal_is_not_renewed_before_its_own_time() -> None:
    renewal = Term(NOON, NOON + timedelta(days=30), NOON + timedelta(days=60))
    assert not is_renewable(CertificateStatus.ISSUED, renewal, None, NOON + timedelta(days=29))
    assert is_renewable(CertificateStatus.ISSUED, renewal, None, NOON + timedelta(days=45))


# ---- what has expired for good ----


def test_what_has_expired_for_good_cannot_be_renewed_any_more() -> None:
    grace = ENDS + timedelta(days=30)
    assert not is_lapsed(CertificateStatus.EXPIRED, ENDS, grace, grace)
    assert is_lapsed(CertificateStatus.EXPIRED, ENDS, grace, grace + timedelta(seconds=1))
    assert is_lapsed(CertificateStatus.EXPIRED, ENDS, None, ENDS + timedelta(seconds=1))
    assert not is_lapsed(CertificateStatus.REVOKED, ENDS, None, ENDS + timedelta(seconds=1))


def test_it_is_followed_as_an_exception_or_once_the_course_is_completed_anew() -> None:
    assert may_be_followed(NOON, None, EXCEPTION)
    assert not may_be_followed(NOON, None, COMPLETION)
    assert not may_be_followed(NOON, NOON, COMPLETION)
    assert may_be_followed(NOON, ENDS, COMPLETION)


def test_what_never_expires_has_no_notices() -> None:
    assert due_notice(Term(NOON, NOON, None), NOON) is None
    assert next_notice(Term(NOON, NOON, None), NOON) is None


@given(
    MOMENTS, st.timedeltas(timedelta(days=1), timedelta(days=2000)), st.timedeltas(timedelta(), timedelta(days=3000))
)
def test_whoever_sleeps_until_the_next_notice_misses_none(
    issued_at: datetime, valid: timedelta, age: timedelta
) -> None:
    ends, moment = issued_at + valid, issued_at + age
    term = Term(issued_at, issued_at, ends)
    following = next_notice(term, moment)
    assert (following is None) is is_over(ends, moment)
    if following is not None:
        assert due_notice(term, following - timedelta(microseconds=1)) == due_notice(term, moment)
        assert due_notice(term, following) != due_notice(term, moment)


# ---- codes ----


def test_a_code_has_26_letters_that_nobody_misreads() -> None:
    assert code_of(0) == "0" * 26
    assert code_of((1 << 128) - 1) == "7" + "Z" * 25
    assert code_of(32) == "0" * 24 + "10"


@given(st.integers(0, (1 << 128) - 1), st.integers(0, (1 << 128) - 1))
def test_other_bits_are_another_code(one: int, other: int) -> None:
    assert (code_of(one) == code_of(other)) is (one == other)
    assert not set(code_of(one)) & set("ILOU")


@pytest.mark.parametrize("bits", [-1, 1 << 128])
def test_a_code_is_made_of_128_bits(bits: int) -> None:
    with pytest.raises(ValueError, match="128"):
        code_of(bits)


def test_a_stamp_fits_an_occasion() -> None:
    assert stamp(datetime(2026, 3, 1, 13, tzinfo=BERLIN)) == "20260301120000"
