"""Certificates on the record: issued once under repeats and races, numbered without gaps, looked after for years."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlmodel import SQLModel, col

import activities.certificate_record
from activities.audit import StateChange
from activities.certificate_eligibility import standing_of
from activities.certificate_templates import AssignedTemplate, save_template
from activities.certificates import CertificateActivities
from activities.database import Sessions
from activities.drips import DripActivities
from activities.legal_names import ConfirmedName, confirm_legal_name
from activities.orders import OrderActivities
from activities.refund_requests import RefundRequestActivities
from models.errors import Reason
from models.messages.certificates import CertificateMail
from models.tables import (
    Academy,
    Certificate,
    CertificateTemplate,
    Course,
    Enrollment,
    Mail,
    Order,
    Person,
    PersonField,
)
from models.vocabulary import (
    CertificateGround,
    CertificateOrigin,
    CertificateStatus,
    EnrollmentStatus,
    MailStatus,
    MailTemplate,
    RevocationReason,
)
from rules.decision import Refused
from tests.eventually import eventually
from tests.integration.certified_places import (
    CANVAS,
    NOON,
    a_place,
    all_certificates,
    blank,
    certify,
    confirm,
    facts_of,
    issued,
    issuing,
    reinstating,
    renewing,
    revoking,
    story_of,
    template,
    tended,
    the,
)
from tests.integration.learning_steps import advance
from tests.integration.order_steps import (
    LUKASZ,
    course,
    enroll,
    enrollments_of,
    person,
    set_course,
    statements_of,
)
from tests.integration.test_staff_refunds import grant

YEAR = timedelta(days=365)
LAYLA = person("layla")


@pytest.fixture
async def steps(orders: OrderActivities) -> CertificateActivities:
    """The steps of certificates: Spanish is certified for a year with a month of grace, and Łukasz has a name."""
    await blank(orders.sessions)
    yearly = AssignedTemplate(await template(orders.sessions, "classic"), valid_days=365, grace_days=30)
    await certify(orders.sessions, "spanish-a1", yearly)
    await confirm(orders.sessions, "Łukasz Jan Żółciński")
    return CertificateActivities(orders.sessions)


async def add(sessions: Sessions, *rows: SQLModel) -> None:
    async with sessions.begin() as session:
        session.add_all(rows)


async def rendered(sessions: Sessions, *certificate_ids: UUID) -> None:
    async with sessions.begin() as session:
        found = update(Certificate).where(col(Certificate.id).in_(certificate_ids))
        await session.execute(found.values(file_sha256="a" * 64))


async def sent(sessions: Sessions, mails: Sequence[CertificateMail], recipient_id: UUID = LUKASZ) -> None:
    """The ledger knows of these mails."""
    await add(
        sessions,
        *(
            Mail(
                recipient_id=recipient_id,
                template=mail.template,
                subject_id=mail.certificate_id,
                occasion=mail.occasion,
                workflow_id="certificate-of-a-test",
            )
            for mail in mails
        ),
    )


# ---- issued once ----


async def test_what_is_printed_is_frozen_at_issue(steps: CertificateActivities, orders: OrderActivities) -> None:
    await set_course(steps.sessions, "spanish-a1", credits=5, tutor_id=LAYLA)
    await add(steps.sessions, PersonField(person_id=LUKASZ, key="student_number", value="007"))
    place = await a_place(steps.sessions, orders)
    answer = await steps.issue_certificates(issuing(place))
    [told] = answer.certificates
    assert (answer.student_id, answer.grounds) == (LUKASZ, ())
    assert (told.status, told.is_new, told.is_rendered) == (CertificateStatus.ISSUED, True, False)
    certificate = await the(steps.sessions, told.certificate_id)
    assert certificate.number == "CERT-2026-000001"
    assert certificate.code is not None
    assert len(certificate.code) == 26
    assert (certificate.origin, certificate.template_version, certificate.issued_at) == ("completion", 1, NOON)
    async with steps.sessions.begin() as session:
        instructor = (await session.get_one(Person, LAYLA)).full_name
        academy = (await session.execute(select(col(Academy.name)))).scalar_one()
        await session.execute(update(Person).values(full_name="Somebody Else", legal_name="Somebody Else"))
        await session.execute(update(Course).values(title="Another title"))
    assert facts_of(await the(steps.sessions, told.certificate_id)) == {
        "student_first_name": "Łukasz Jan",
        "student_last_name": "Żółciński",
        "student_full_name": "Łukasz Jan Żółciński",
        "course_name": "Spanish A1 in twelve lessons",
        "issue_date": "1 marca 2026",
        "expiry_date": "1 marca 2027",
        "instructor_name": instructor,
        "certificate_code": "CERT-2026-000001",
        "course_credit": "5",
        "learning_path_name": None,
        "learning_path_credit": None,
        "custom_fields": [["student_number", "007"]],
        "language": "pl",
        "issuer": academy,
        "is_test": False,
    }
    assert await story_of(steps.sessions, told.certificate_id) == [(None, "issued", "completion")]


async def test_who_has_no_language_of_ours_keeps_the_shapes_of_theirs(
    steps: CertificateActivities, orders: OrderActivities
) -> None:
    async with steps.sessions.begin() as session:
        await session.execute(update(Person).values(locale="ja-JP"))
    facts = facts_of(await the(steps.sessions, await issued(steps, await a_place(steps.sessions, orders))))
    assert (facts["language"], facts["issue_date"]) == ("ja-JP", "March 1, 2026")


async def test_a_bundle_is_the_learning_path(steps: CertificateActivities, orders: OrderActivities) -> None:
    await set_course(steps.sessions, "language-bundle", credits=12)
    step = await enroll(steps.sessions, orders, "language-bundle", completed_at=NOON)
    places = {each.course_id: each.id for each in await enrollments_of(steps.sessions, step)}
    facts = facts_of(await the(steps.sessions, await issued(steps, places[course("spanish-a1")])))
    async with steps.sessions() as session:
        bundle = await session.get_one(Course, course("language-bundle"))
    assert (facts["learning_path_name"], facts["learning_path_credit"]) == (bundle.title, "12")


async def test_a_repeat_finds_what_it_has_issued(steps: CertificateActivities, orders: OrderActivities) -> None:
    place = await a_place(steps.sessions, orders)
    first = await steps.issue_certificates(issuing(place))
    assert await steps.issue_certificates(issuing(place)) == first
    later = await steps.issue_certificates(issuing(place, NOON + timedelta(days=1)))
    assert [each.is_new for each in later.certificates] == [False]
    assert len(await all_certificates(steps.sessions)) == 1


async def test_of_many_at_once_one_is_issued_with_one_number(
    steps: CertificateActivities, orders: OrderActivities
) -> None:
    place = await a_place(steps.sessions, orders)
    other = AssignedTemplate(await template(steps.sessions, "modern"), series="PLUS")
    third = AssignedTemplate(await template(steps.sessions, "bold"), series="PLUS")
    query = select(CertificateTemplate).where(col(CertificateTemplate.name) == "test-classic")
    async with steps.sessions() as session:
        yearly = AssignedTemplate((await session.execute(query)).scalar_one().id)
    await certify(steps.sessions, "spanish-a1", third, other, yearly)
    answers = await asyncio.gather(
        *(steps.issue_certificates(issuing(place, NOON + timedelta(seconds=n))) for n in range(8))
    )
    assert len({frozenset(each.certificate_id for each in answer.certificates) for answer in answers}) == 1
    assert sum(any(each.is_new for each in answer.certificates) for answer in answers) == 1
    numbers = [each.number for each in await all_certificates(steps.sessions)]
    assert numbers == ["CERT-2026-000001", "PLUS-2026-000001", "PLUS-2026-000002"]


async def test_many_learners_at_once_leave_no_gap(steps: CertificateActivities, orders: OrderActivities) -> None:
    await asyncio.gather(
        *(confirm(steps.sessions, f"Name of {key}", person(key)) for key in ("layla", "grace", "aoife"))
    )
    places = [
        await a_place(steps.sessions, orders, student=person(key)) for key in ("lukasz", "layla", "grace", "aoife")
    ]
    await asyncio.gather(*(steps.issue_certificates(issuing(place)) for place in places))
    numbers = [each.number for each in await all_certificates(steps.sessions)]
    assert numbers == [f"CERT-2026-{n:06d}" for n in range(1, 5)]
    assert len({each.code for each in await all_certificates(steps.sessions)}) == 4


async def test_a_step_that_fails_takes_no_number(
    steps: CertificateActivities, orders: OrderActivities, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = await a_place(steps.sessions, orders)

    async def fails(session: AsyncSession, changes: Sequence[StateChange], **_: str) -> None:
        if any(change.to_state == CertificateStatus.ISSUED for change in changes):
            raise ConnectionError

    with monkeypatch.context() as broken:
        broken.setattr(activities.certificate_record, "write_audit", fails)
        with pytest.raises(ConnectionError):
            await steps.issue_certificates(issuing(place))
    assert await all_certificates(steps.sessions) == []
    assert (await the(steps.sessions, await issued(steps, place))).number == "CERT-2026-000001"


async def test_test_orders_have_a_series_of_their_own(steps: CertificateActivities, orders: OrderActivities) -> None:
    place = await a_place(steps.sessions, orders)
    async with steps.sessions.begin() as session:
        await session.execute(update(Order).values(is_test=True))
    certificate = await the(steps.sessions, await issued(steps, place))
    assert certificate.number == "TEST-CERT-2026-000001"
    assert facts_of(certificate)["is_test"] is True


async def test_the_year_of_a_number_is_the_academys(steps: CertificateActivities, orders: OrderActivities) -> None:
    async with steps.sessions.begin() as session:
        await session.execute(update(Academy).values(time_zone="Europe/Berlin"))
    place = await a_place(steps.sessions, orders)
    new_year = datetime.fromisoformat("2026-12-31T23:30:00+00:00")
    assert (await the(steps.sessions, await issued(steps, place, new_year))).number == "CERT-2027-000001"


@pytest.mark.parametrize(
    ("changes", "grounds"),
    [
        ({"completed_at": None}, (CertificateGround.NOT_COMPLETED,)),
        ({"status": EnrollmentStatus.CANCELED}, (CertificateGround.ENROLLMENT_CANCELED,)),
    ],
)
async def test_what_stands_between_is_said(
    steps: CertificateActivities,
    orders: OrderActivities,
    changes: dict[str, object],
    grounds: tuple[CertificateGround, ...],
) -> None:
    place = await a_place(steps.sessions, orders, **changes)
    answer = await steps.issue_certificates(issuing(place))
    assert (answer.student_id, answer.grounds, answer.certificates) == (LUKASZ, grounds, ())
    assert await all_certificates(steps.sessions) == []


async def test_a_place_that_ends_meanwhile_is_not_certified(
    steps: CertificateActivities, orders: OrderActivities
) -> None:
    place = await a_place(steps.sessions, orders)
    async with steps.sessions.begin() as session:
        ending = update(Enrollment).where(col(Enrollment.id) == place).values(status=EnrollmentStatus.CANCELED)
        await session.execute(ending)
        asked = asyncio.create_task(steps.issue_certificates(issuing(place)))
        await eventually(lambda: _somebody_waits(steps.sessions))
    assert (await asked).grounds == (CertificateGround.ENROLLMENT_CANCELED,)


async def _somebody_waits(sessions: Sessions) -> bool:
    async with sessions() as session:
        waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool((await session.execute(waiting)).scalar_one())


async def test_a_place_that_a_refund_takes_away_is_not_certified(
    steps: CertificateActivities, orders: OrderActivities
) -> None:
    place = await a_place(steps.sessions, orders)
    await grant(RefundRequestActivities(steps.sessions), place)
    for origin in (CertificateOrigin.COMPLETION, CertificateOrigin.EXCEPTION):
        async with steps.sessions.begin() as session:
            # As it stands before the money has gone back.
            await session.execute(update(Enrollment).where(col(Enrollment.id) == place).values(status="active"))
        answer = await steps.issue_certificates(issuing(place, origin=origin))
        assert answer.grounds == (CertificateGround.ENROLLMENT_CANCELED,)
        async with steps.sessions() as session:
            standing = await standing_of(session, place, origin)
        assert standing is not None
        assert standing.grounds == answer.grounds


async def test_staff_can_make_an_exception(steps: CertificateActivities, orders: OrderActivities) -> None:
    place = await a_place(steps.sessions, orders, completed_at=None)
    answer = await steps.issue_certificates(issuing(place, origin=CertificateOrigin.EXCEPTION))
    [told] = answer.certificates
    assert (await the(steps.sessions, told.certificate_id)).origin == "exception"


async def test_nobody_unknown_is_certified(steps: CertificateActivities) -> None:
    answer = await steps.issue_certificates(issuing(uuid4()))
    assert (answer.student_id, answer.grounds) == (None, (CertificateGround.NOT_COMPLETED,))


async def test_a_course_without_templates_certifies_nobody(
    steps: CertificateActivities, orders: OrderActivities
) -> None:
    place = await a_place(steps.sessions, orders, "study-skills")
    answer = await steps.issue_certificates(issuing(place))
    assert answer.grounds == (CertificateGround.NO_TEMPLATE,)


# ---- the name ----


async def test_a_name_is_waited_for_and_then_confirmed(steps: CertificateActivities, orders: OrderActivities) -> None:
    await issued(steps, await a_place(steps.sessions, orders))  # somebody else's, by the same template
    place = await a_place(steps.sessions, orders, student=LAYLA)
    answer = await steps.issue_certificates(issuing(place))
    assert answer.grounds == (CertificateGround.NAME_UNCONFIRMED,)
    confirmed = await confirm(steps.sessions, "  Layla   Al-Hussaini ", LAYLA)
    assert (confirmed.name, confirmed.waiting) == ("Layla Al-Hussaini", (place,))
    certificate = await the(steps.sessions, await issued(steps, place))
    assert facts_of(certificate)["student_full_name"] == "Layla Al-Hussaini"
    assert (await confirm(steps.sessions, "Layla Al-Hussaini", LAYLA)).waiting == ()
    assert len(await story_of(steps.sessions, LAYLA)) == 1


async def test_staff_can_take_the_name_on_file(steps: CertificateActivities, orders: OrderActivities) -> None:
    place = await a_place(steps.sessions, orders, student=LAYLA)
    step = issuing(place, takes_name_on_file=True)
    answer = await steps.issue_certificates(step)
    assert await steps.issue_certificates(step) == answer
    async with steps.sessions() as session:
        layla = await session.get_one(Person, LAYLA)
    assert (layla.legal_name, layla.legal_name_confirmed_at) == (layla.full_name, NOON)
    assert facts_of(await the(steps.sessions, answer.certificates[0].certificate_id))["student_full_name"] == (
        layla.full_name
    )


async def test_the_name_on_file_is_not_taken_for_nothing(steps: CertificateActivities, orders: OrderActivities) -> None:
    place = await a_place(steps.sessions, orders, student=LAYLA, completed_at=None)
    answer = await steps.issue_certificates(issuing(place, takes_name_on_file=True))
    assert set(answer.grounds) == {CertificateGround.NOT_COMPLETED, CertificateGround.NAME_UNCONFIRMED}
    async with steps.sessions() as session:
        assert (await session.get_one(Person, LAYLA)).legal_name is None


@pytest.mark.parametrize(
    ("who", "name", "reason"),
    [
        (LUKASZ, "Łukasz Żółć", Reason.NAME_ALREADY_CONFIRMED),
        (LAYLA, " 123 ", Reason.NAME_INVALID),
        (uuid4(), "Nobody", Reason.UNKNOWN_PERSON),
    ],
)
async def test_a_name_is_confirmed_once(steps: CertificateActivities, who: UUID, name: str, reason: Reason) -> None:
    async with steps.sessions.begin() as session:
        refused = await confirm_legal_name(session, who, name, actor="staff:7", moment=NOON)
    assert isinstance(refused, Refused)
    assert refused.reason is reason


async def test_of_two_names_at_once_one_is_confirmed(steps: CertificateActivities) -> None:
    async def typed(name: str) -> ConfirmedName | Refused:
        async with steps.sessions.begin() as session:
            return await confirm_legal_name(session, LAYLA, name, actor="staff:7", moment=NOON)

    said = await asyncio.gather(*(typed(f"Layla {letter}") for letter in "ABCD"))
    assert sum(isinstance(each, ConfirmedName) for each in said) == 1


# ---- looked after ----


async def test_a_year_of_a_certificate(steps: CertificateActivities, orders: OrderActivities) -> None:
    place = await a_place(steps.sessions, orders)
    certificate_id = await issued(steps, place)
    answer = await tended(steps, place, NOON)
    assert (answer.unrendered, answer.mails, answer.status) == ((certificate_id,), (), CertificateStatus.ISSUED)
    await rendered(steps.sessions, certificate_id)
    moment: datetime | None = NOON
    told: list[tuple[str, str]] = []
    while moment is not None:
        answer = await tended(steps, place, moment)
        assert (answer.student_id, answer.unrendered) == (LUKASZ, ())
        await sent(steps.sessions, answer.mails)
        assert (await tended(steps, place, moment)).mails == ()
        told += [(mail.template, mail.occasion) for mail in answer.mails]
        moment = answer.wakes_at
    expiring = MailTemplate.CERTIFICATE_EXPIRING
    assert told == [
        (MailTemplate.CERTIFICATE_ISSUED, ""),
        (expiring, "60d"),
        (expiring, "30d"),
        (expiring, "7d"),
        (MailTemplate.CERTIFICATE_EXPIRED, ""),
    ]
    assert answer.status is CertificateStatus.EXPIRED
    assert await story_of(steps.sessions, certificate_id) == [
        (None, "issued", "completion"),
        ("issued", "expired", "its time is over"),
    ]


async def test_whoever_wakes_late_tells_the_latest_alone(steps: CertificateActivities, orders: OrderActivities) -> None:
    place = await a_place(steps.sessions, orders)
    certificate_id = await issued(steps, place)
    await rendered(steps.sessions, certificate_id)
    mails = (await tended(steps, place, NOON + YEAR - timedelta(days=5))).mails
    assert [mail.occasion for mail in mails] == ["", "7d"]
    [last] = (await tended(steps, place, NOON + 2 * YEAR)).mails
    assert last.template is MailTemplate.CERTIFICATE_EXPIRED


async def test_what_the_learning_platform_certified_is_left_alone(
    steps: CertificateActivities, orders: OrderActivities
) -> None:
    place = await a_place(steps.sessions, orders)
    await add(steps.sessions, Certificate(enrollment_id=place, issued_at=NOON, expires_at=NOON + YEAR))
    answer = await tended(steps, place, NOON + 2 * YEAR)
    assert (answer.mails, answer.unrendered, answer.wakes_at) == ((), (), None)
    assert len((await steps.issue_certificates(issuing(place))).certificates) == 1


async def test_nothing_is_due_of_what_never_expires(steps: CertificateActivities, orders: OrderActivities) -> None:
    await certify(steps.sessions, "spanish-a1", AssignedTemplate(await template(steps.sessions, "for good")))
    place = await a_place(steps.sessions, orders)
    certificate = await the(steps.sessions, await issued(steps, place))
    assert (certificate.expires_at, facts_of(certificate)["expiry_date"]) == (None, None)
    assert (await tended(steps, place, NOON + 50 * YEAR)).wakes_at is None


# ---- revoked and reinstated ----


async def test_revoked_and_reinstated(steps: CertificateActivities, orders: OrderActivities) -> None:
    place = await a_place(steps.sessions, orders)
    certificate_id = await issued(steps, place)
    for _ in range(2):
        answer = await steps.change_certificate(revoking(certificate_id))
        assert (answer.certificate_id, answer.status, answer.refusal) == (certificate_id, "revoked", None)
    certificate = await the(steps.sessions, certificate_id)
    assert (certificate.revocation_reason, certificate.revoked_at) == ("misconduct", NOON + timedelta(days=1))
    again = await steps.change_certificate(revoking(certificate_id, reason=RevocationReason.OTHER))
    assert again.refusal is Reason.CERTIFICATE_NOT_ISSUED
    refused = await steps.issue_certificates(issuing(place, NOON + timedelta(days=1)))
    assert refused.grounds == (CertificateGround.REVOKED_BEFORE,)
    [told] = (await tended(steps, place, NOON + timedelta(days=1))).mails
    assert (told.template, told.occasion) == (MailTemplate.CERTIFICATE_REVOKED, "20260302120000")
    for _ in range(2):
        answer = await steps.change_certificate(reinstating(certificate_id))
        assert (answer.status, answer.refusal) == ("issued", None)
    certificate = await the(steps.sessions, certificate_id)
    assert (certificate.revocation_reason, certificate.revoked_at) == (None, None)
    later = await steps.change_certificate(reinstating(certificate_id, NOON + timedelta(days=3)))
    assert later.refusal is Reason.CERTIFICATE_NOT_REVOKED
    assert await story_of(steps.sessions, certificate_id) == [
        (None, "issued", "completion"),
        ("issued", "revoked", "misconduct"),
        ("revoked", "issued", "reinstated"),
    ]


async def test_a_mail_that_a_revocation_overtook_goes_out_once_it_counts_again(
    steps: CertificateActivities, orders: OrderActivities
) -> None:
    place = await a_place(steps.sessions, orders)
    certificate_id = await issued(steps, place)
    await rendered(steps.sessions, certificate_id)
    for n, occasion in enumerate(("", "again_1", "again_2")):
        moment = NOON + timedelta(days=n)
        [mail] = (await tended(steps, place, moment)).mails
        assert (mail.template, mail.occasion) == (MailTemplate.CERTIFICATE_ISSUED, occasion)
        await steps.change_certificate(revoking(certificate_id, moment + timedelta(hours=1)))
        await sent(steps.sessions, [mail])
        async with steps.sessions.begin() as session:
            of_it = update(Mail).where(col(Mail.template) == mail.template)
            await session.execute(of_it.values(status=MailStatus.SKIPPED, status_reason="revoked"))
        await steps.change_certificate(reinstating(certificate_id, moment + timedelta(hours=2)))
    [mail] = (await tended(steps, place, moment)).mails
    await sent(steps.sessions, [mail])
    assert (await tended(steps, place, moment)).mails == ()


async def test_reinstated_when_its_time_is_over_it_has_expired(
    steps: CertificateActivities, orders: OrderActivities
) -> None:
    certificate_id = await issued(steps, await a_place(steps.sessions, orders))
    await steps.change_certificate(revoking(certificate_id))
    answer = await steps.change_certificate(reinstating(certificate_id, NOON + 2 * YEAR))
    assert (answer.status, answer.refusal) == ("expired", None)
    assert (await the(steps.sessions, certificate_id)).status == "expired"


async def test_what_has_expired_is_not_revoked(steps: CertificateActivities, orders: OrderActivities) -> None:
    certificate_id = await issued(steps, await a_place(steps.sessions, orders))
    answer = await steps.change_certificate(revoking(certificate_id, NOON + 2 * YEAR))
    assert (answer.refusal, answer.status) == (Reason.CERTIFICATE_NOT_ISSUED, "expired")


async def test_there_is_no_such_certificate(steps: CertificateActivities) -> None:
    for step in (revoking(uuid4()), reinstating(uuid4()), renewing(uuid4(), NOON)):
        assert (await steps.change_certificate(step)).refusal is Reason.NOT_FOUND


# ---- renewed ----


async def test_renewed_before_its_end_nobody_loses_a_day(steps: CertificateActivities, orders: OrderActivities) -> None:
    place = await a_place(steps.sessions, orders)
    first = await the(steps.sessions, await issued(steps, place))
    assert first.expires_at is not None
    assert first.template_id is not None
    async with steps.sessions.begin() as session:
        another = CANVAS.model_copy(update={"width": 900})
        await save_template(session, first.template_id, "Classic", another, actor="staff:7")
    early = await steps.change_certificate(renewing(first.id, first.expires_at - timedelta(days=61)))
    assert early.refusal is Reason.CERTIFICATE_NOT_RENEWABLE
    moment = first.expires_at - timedelta(days=60)
    answers = [await steps.change_certificate(renewing(first.id, moment)) for _ in range(2)]
    answers.append(await steps.change_certificate(renewing(first.id, moment + timedelta(days=9))))
    assert {(answer.certificate_id, answer.refusal) for answer in answers} == {(answers[0].certificate_id, None)}
    second = await the(steps.sessions, answers[0].certificate_id)
    assert (second.origin, second.predecessor_id, second.number) == ("renewal", first.id, "CERT-2026-000002")
    assert (second.expires_at, second.template_version) == (first.expires_at + YEAR, 2)
    assert (await the(steps.sessions, first.id)).status == "superseded"
    assert second.code != first.code
    # A pinned version stays what it was.
    assert (await the(steps.sessions, first.id)).template_version == 1


async def test_renewed_in_its_grace_the_old_one_stays_expired(
    steps: CertificateActivities, orders: OrderActivities
) -> None:
    place = await a_place(steps.sessions, orders)
    first = await the(steps.sessions, await issued(steps, place))
    assert first.expires_at is not None
    assert first.renewable_until is not None
    late = await steps.change_certificate(renewing(first.id, first.renewable_until + timedelta(seconds=1)))
    assert late.refusal is Reason.CERTIFICATE_NOT_RENEWABLE
    moment = first.renewable_until
    second = await the(steps.sessions, (await steps.change_certificate(renewing(first.id, moment))).certificate_id)
    assert (await the(steps.sessions, first.id)).status == "expired"
    assert second.expires_at == moment + YEAR
    await rendered(steps.sessions, first.id, second.id)
    # Nobody is told any more that the first one has expired.
    mails = (await tended(steps, place, moment)).mails
    assert [(mail.template, mail.certificate_id) for mail in mails] == [(MailTemplate.CERTIFICATE_ISSUED, second.id)]


async def test_two_who_renew_at_once_renew_once(steps: CertificateActivities, orders: OrderActivities) -> None:
    first = await the(steps.sessions, await issued(steps, await a_place(steps.sessions, orders)))
    assert first.expires_at is not None
    moment = first.expires_at - timedelta(days=1)
    answers = await asyncio.gather(
        *(steps.change_certificate(renewing(first.id, moment + timedelta(seconds=n))) for n in range(4))
    )
    assert {answer.refusal for answer in answers} == {None}
    assert len({answer.certificate_id for answer in answers}) == 1
    assert len(await all_certificates(steps.sessions)) == 2


async def test_what_the_course_no_longer_brings_is_not_renewed(
    steps: CertificateActivities, orders: OrderActivities
) -> None:
    first = await the(steps.sessions, await issued(steps, await a_place(steps.sessions, orders)))
    assert first.expires_at is not None
    await certify(steps.sessions, "spanish-a1")
    answer = await steps.change_certificate(renewing(first.id, first.expires_at))
    assert answer.refusal is Reason.CERTIFICATE_NOT_RENEWABLE


async def test_preview_and_step_agree_on_a_renewal_that_was_revoked(
    steps: CertificateActivities, orders: OrderActivities
) -> None:
    place = await a_place(steps.sessions, orders)
    late = NOON + YEAR + timedelta(days=3)
    second = (await steps.change_certificate(renewing(await issued(steps, place), late))).certificate_id
    assert second is not None
    await steps.change_certificate(revoking(second, late))
    async with steps.sessions() as session:
        standing = await standing_of(session, place, CertificateOrigin.COMPLETION)
    assert standing is not None
    assert standing.grounds == (await steps.issue_certificates(issuing(place, late))).grounds
    assert standing.grounds == (CertificateGround.REVOKED_BEFORE,)


async def test_a_renewal_is_not_renewed_before_its_own_time(
    steps: CertificateActivities, orders: OrderActivities
) -> None:
    first = await the(steps.sessions, await issued(steps, await a_place(steps.sessions, orders)))
    assert first.expires_at is not None
    await certify(steps.sessions, "spanish-a1", AssignedTemplate(first.template_id or uuid4(), valid_days=30))
    early = first.expires_at - timedelta(days=60)
    second = (await steps.change_certificate(renewing(first.id, early))).certificate_id
    assert second is not None
    assert (await steps.change_certificate(renewing(second, early))).refusal is Reason.CERTIFICATE_NOT_RENEWABLE
    middle = first.expires_at + timedelta(days=15)
    assert (await steps.change_certificate(renewing(second, middle))).refusal is None


async def test_what_was_revoked_is_not_renewed(steps: CertificateActivities, orders: OrderActivities) -> None:
    first = await the(steps.sessions, await issued(steps, await a_place(steps.sessions, orders)))
    await steps.change_certificate(revoking(first.id))
    assert first.expires_at is not None
    answer = await steps.change_certificate(renewing(first.id, first.expires_at))
    assert answer.refusal is Reason.CERTIFICATE_NOT_RENEWABLE


# ---- expired for good ----


async def test_what_has_expired_for_good_is_followed_by_an_exception(
    steps: CertificateActivities, orders: OrderActivities
) -> None:
    place = await a_place(steps.sessions, orders)
    first, late = await issued(steps, place), NOON + 2 * YEAR
    said = await steps.issue_certificates(issuing(place, late))
    assert said.grounds == (CertificateGround.EXPIRED_BEFORE,)
    assert len(await all_certificates(steps.sessions)) == 1
    step = issuing(place, late, CertificateOrigin.EXCEPTION)
    for _ in range(2):
        [told] = (await steps.issue_certificates(step)).certificates
        assert told.is_new
    second = await the(steps.sessions, told.certificate_id)
    assert (second.predecessor_id, second.origin, second.issued_at) == (first, "exception", late)
    assert (await the(steps.sessions, first)).status == "expired"
    assert len(await all_certificates(steps.sessions)) == 2


async def test_a_course_that_is_completed_anew_is_certified_anew(
    steps: CertificateActivities, orders: OrderActivities
) -> None:
    place = await a_place(steps.sessions, orders, status=EnrollmentStatus.COMPLETED)
    first, late = await issued(steps, place), NOON + 2 * YEAR
    await tended(steps, place, late)
    assert not (await advance(DripActivities(steps.sessions), place, late)).wants_certificate
    await _completed_at(steps.sessions, place, late)
    assert (await advance(DripActivities(steps.sessions), place, late)).wants_certificate
    second = await issued(steps, place, late)
    assert (await the(steps.sessions, second)).predecessor_id == first
    assert not (await advance(DripActivities(steps.sessions), place, late)).wants_certificate


async def test_in_its_grace_it_is_renewed_not_issued_anew(
    steps: CertificateActivities, orders: OrderActivities
) -> None:
    place = await a_place(steps.sessions, orders)
    first, grace = await issued(steps, place), NOON + YEAR + timedelta(days=20)
    await _completed_at(steps.sessions, place, grace)
    answer = await steps.issue_certificates(issuing(place, grace, CertificateOrigin.EXCEPTION))
    assert (answer.grounds, [each.certificate_id for each in answer.certificates]) == ((), [first])


async def _completed_at(sessions: Sessions, place: UUID, moment: datetime) -> None:
    async with sessions.begin() as session:
        await session.execute(update(Enrollment).where(col(Enrollment.id) == place).values(completed_at=moment))


# ---- how much is asked of the database ----


async def test_the_statements_are_few_however_many_kinds(
    steps: CertificateActivities, orders: OrderActivities, engine: AsyncEngine
) -> None:
    places = [await a_place(steps.sessions, orders)]
    kinds = [AssignedTemplate(await template(steps.sessions, f"kind {n}"), series=f"K{n % 3}") for n in range(6)]
    await certify(steps.sessions, "french-a2", *kinds)
    places.append(await a_place(steps.sessions, orders, "french-a2"))
    counts = []
    for place in places:
        with statements_of(engine) as issuing_:
            answer = await steps.issue_certificates(issuing(place))
        await rendered(steps.sessions, *(each.certificate_id for each in answer.certificates))
        with statements_of(engine) as repeating:
            await steps.issue_certificates(issuing(place))
        with statements_of(engine) as tending:
            await tended(steps, place, NOON)
        with statements_of(engine) as expiring:
            await tended(steps, place, NOON + 2 * YEAR)
        counts.append([len(each) for each in (issuing_, repeating, tending, expiring)])
    assert counts == [[7, 3, 4, 6], [7, 3, 4, 4]]
