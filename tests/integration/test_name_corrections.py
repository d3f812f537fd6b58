"""Another name on a certificate: slips at once, everything else by a person on evidence, twice a year at most."""

import asyncio
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest

from activities.certificate_corrections import WantedName, request_correction
from activities.certificate_templates import AssignedTemplate
from activities.certificates import CertificateActivities
from activities.database import Sessions
from activities.orders import OrderActivities
from models.errors import Reason
from models.messages.certificates import CertificateAnswer, CertificateStep, CorrectName, DecideCorrection
from models.tables import NameCorrection, Person
from models.vocabulary import CorrectionStatus
from rules.decision import Refused
from tests.integration.certified_places import (
    NOON,
    a_place,
    all_certificates,
    blank,
    certify,
    confirm,
    facts_of,
    issued,
    renewing,
    revoking,
    story_of,
    template,
    the,
)
from tests.integration.order_steps import LUKASZ

DAY = timedelta(days=1)
NAME, SLIP, OTHER = "Lukas Żółciński", "Łukasz Żółciński", "Łukasz Nowak"


@pytest.fixture
async def steps(orders: OrderActivities) -> CertificateActivities:
    await blank(orders.sessions)
    yearly = AssignedTemplate(await template(orders.sessions, "classic"), valid_days=365, grace_days=30, series="NAME")
    await certify(orders.sessions, "spanish-a1", yearly)
    await confirm(orders.sessions, NAME)
    return CertificateActivities(orders.sessions)


@pytest.fixture
async def certificate_id(steps: CertificateActivities, orders: OrderActivities) -> UUID:
    return await issued(steps, await a_place(steps.sessions, orders))


async def wished(
    sessions: Sessions, certificate_id: UUID, name: str, *, evidence: bool = False, moment: datetime = NOON + DAY
) -> UUID | Reason:
    """The id of the wish, or why there is none."""
    wanted = WantedName(
        correction_id=uuid4(),
        certificate_id=certificate_id,
        name=name,
        requested_by=f"student:{LUKASZ}",
        evidence_sha256="b" * 64 if evidence else None,
        evidence_media_type="application/pdf" if evidence else None,
    )
    async with sessions.begin() as session:
        found = await request_correction(session, wanted, moment)
        if isinstance(found, Refused):
            return found.reason
        assert (await request_correction(session, wanted, moment)) is found
        return found.id


async def wish(
    sessions: Sessions, certificate_id: UUID, name: str, *, evidence: bool = False, moment: datetime = NOON + DAY
) -> UUID:
    found = await wished(sessions, certificate_id, name, evidence=evidence, moment=moment)
    assert isinstance(found, UUID)
    return found


def correcting(certificate_id: UUID, correction_id: UUID, moment: datetime = NOON + DAY) -> CertificateStep:
    wanted = CorrectName(certificate_id=certificate_id, correction_id=correction_id, actor=f"student:{LUKASZ}")
    return CertificateStep(wish=wanted, moment=moment, workflow_id="certificate-of-a-test")


async def decided(
    steps: CertificateActivities, correction_id: UUID, *, approved: bool, moment: datetime = NOON + 2 * DAY
) -> CertificateAnswer:
    return await steps.decide_correction(
        DecideCorrection(
            correction_id=correction_id,
            is_approved=approved,
            actor="staff:7",
            moment=moment,
            workflow_id="certificate-of-a-test",
        )
    )


async def correction(sessions: Sessions, correction_id: UUID) -> NameCorrection:
    async with sessions() as session:
        return await session.get_one(NameCorrection, correction_id)


async def legal_name(sessions: Sessions) -> str | None:
    async with sessions() as session:
        return (await session.get_one(Person, LUKASZ)).legal_name


async def test_a_slip_is_corrected_at_once(steps: CertificateActivities, certificate_id: UUID) -> None:
    correction_id = await wish(steps.sessions, certificate_id, SLIP)
    step = correcting(certificate_id, correction_id)
    answer = await steps.change_certificate(step)
    assert await steps.change_certificate(step) == answer
    assert (answer.refusal, answer.needs_person, answer.status) == (None, False, "issued")
    old, new = await the(steps.sessions, certificate_id), await the(steps.sessions, answer.certificate_id)
    assert (old.status, new.origin, new.predecessor_id) == ("superseded", "correction", old.id)
    assert (old.number, new.number) == ("NAME-2026-000001", "NAME-2026-000002")
    assert new.code != old.code
    assert (new.expires_at, new.renewable_until) == (old.expires_at, old.renewable_until)
    assert (new.template_id, new.template_version) == (old.template_id, old.template_version)
    said = facts_of(old) | {
        "student_first_name": "Łukasz",
        "student_full_name": SLIP,
        "certificate_code": new.number,
        "issue_date": "2 marca 2026",
    }
    assert facts_of(new) == said
    row = await correction(steps.sessions, correction_id)
    assert (row.status, row.decided_by, row.needs_person) == ("approved", f"student:{LUKASZ}", False)
    assert await legal_name(steps.sessions) == SLIP
    assert await story_of(steps.sessions, correction_id) == [
        (None, "requested", "another name"),
        ("requested", "approved", "name approved"),
    ]


async def test_a_wish_that_is_open_counts_against_the_limit(
    steps: CertificateActivities, orders: OrderActivities
) -> None:
    first = await issued(steps, await a_place(steps.sessions, orders))
    late = NOON + 320 * DAY
    open_wish = await wish(steps.sessions, first, OTHER, evidence=True, moment=late)
    assert (await steps.change_certificate(correcting(first, open_wish, late))).needs_person
    second = (await steps.change_certificate(renewing(first, late))).certificate_id
    assert second is not None
    slip = await wish(steps.sessions, second, SLIP, moment=late)
    third = (await steps.change_certificate(correcting(second, slip, late))).certificate_id
    assert third is not None
    assert await wished(steps.sessions, third, NAME, moment=late) is Reason.TOO_MANY_CORRECTIONS
    # Whoever rejects it tells of the certificate that counts now.
    for _ in range(2):
        assert (await decided(steps, open_wish, approved=False, moment=late)).certificate_id == third
    assert isinstance(await wished(steps.sessions, third, NAME, moment=late), UUID)


async def test_another_surname_needs_evidence_and_a_person(steps: CertificateActivities, certificate_id: UUID) -> None:
    assert await wished(steps.sessions, certificate_id, OTHER) is Reason.EVIDENCE_REQUIRED
    correction_id = await wish(steps.sessions, certificate_id, OTHER, evidence=True)
    answer = await steps.change_certificate(correcting(certificate_id, correction_id))
    assert (answer.needs_person, answer.certificate_id, answer.refusal) == (True, certificate_id, None)
    assert len(await all_certificates(steps.sessions)) == 1
    assert await wished(steps.sessions, certificate_id, SLIP) is Reason.CORRECTION_IN_PROGRESS
    granted = await decided(steps, correction_id, approved=True)
    assert await decided(steps, correction_id, approved=True) == granted
    # A decision that is there counts.
    assert await decided(steps, correction_id, approved=False) == granted
    new = await the(steps.sessions, granted.certificate_id)
    assert (facts_of(new)["student_full_name"], new.actor) == (OTHER, "staff:7")
    assert (await correction(steps.sessions, correction_id)).decided_by == "staff:7"


async def test_rejected_everything_stays(steps: CertificateActivities, certificate_id: UUID) -> None:
    correction_id = await wish(steps.sessions, certificate_id, OTHER, evidence=True)
    step = correcting(certificate_id, correction_id)
    await steps.change_certificate(step)
    answer = await decided(steps, correction_id, approved=False)
    assert (answer.certificate_id, answer.status, answer.refusal) == (certificate_id, "issued", None)
    assert await decided(steps, correction_id, approved=True) == answer
    assert (await correction(steps.sessions, correction_id)).status == "rejected"
    assert await legal_name(steps.sessions) == NAME
    assert (await steps.change_certificate(step)).refusal is Reason.NOT_FOUND
    await wish(steps.sessions, certificate_id, SLIP)


async def test_twice_in_a_year_at_most(steps: CertificateActivities, certificate_id: UUID) -> None:
    current, moment = certificate_id, NOON
    for name in (SLIP, "Lukasz Żółciński"):
        moment += DAY
        correction_id = await wish(steps.sessions, current, name, moment=moment)
        answer = await steps.change_certificate(correcting(current, correction_id, moment))
        assert answer.certificate_id is not None
        current = answer.certificate_id
    assert await wished(steps.sessions, current, SLIP, moment=moment + DAY) is Reason.TOO_MANY_CORRECTIONS
    # A year after the first one there is room again, while the certificate lasts: here it has just been renewed.
    soon = NOON + timedelta(days=360)
    renewed = (await steps.change_certificate(renewing(current, soon))).certificate_id
    assert renewed is not None
    assert await wished(steps.sessions, renewed, SLIP, moment=NOON + 365 * DAY) is Reason.TOO_MANY_CORRECTIONS
    await wish(steps.sessions, renewed, SLIP, moment=NOON + 366 * DAY)


async def test_what_is_refused_in_the_step_leaves_room_for_another_wish(
    steps: CertificateActivities, certificate_id: UUID
) -> None:
    correction_id = await wish(steps.sessions, certificate_id, SLIP)
    await steps.change_certificate(revoking(certificate_id))
    step = correcting(certificate_id, correction_id)
    for _ in range(2):
        answer = await steps.change_certificate(step)
        assert answer.refusal is Reason.CERTIFICATE_NOT_ISSUED
    assert (await correction(steps.sessions, correction_id)).status == CorrectionStatus.REJECTED
    assert await wished(steps.sessions, certificate_id, SLIP) is Reason.CERTIFICATE_NOT_ISSUED


async def test_approved_too_late_the_name_counts_for_what_is_issued_next(
    steps: CertificateActivities, certificate_id: UUID
) -> None:
    correction_id = await wish(steps.sessions, certificate_id, OTHER, evidence=True)
    await steps.change_certificate(revoking(certificate_id))
    answer = await decided(steps, correction_id, approved=True)
    assert (answer.certificate_id, answer.status, answer.refusal) == (certificate_id, "revoked", None)
    assert await legal_name(steps.sessions) == OTHER
    assert len(await all_certificates(steps.sessions)) == 1


async def test_approved_after_a_renewal_the_new_one_is_corrected(
    steps: CertificateActivities, certificate_id: UUID
) -> None:
    late = NOON + timedelta(days=350)
    correction_id = await wish(steps.sessions, certificate_id, OTHER, evidence=True, moment=late)
    renewed = (await steps.change_certificate(renewing(certificate_id, late))).certificate_id
    answer = await decided(steps, correction_id, approved=True, moment=late + DAY)
    corrected = await the(steps.sessions, answer.certificate_id)
    assert (corrected.predecessor_id, corrected.origin) == (renewed, "correction")
    assert facts_of(corrected)["student_full_name"] == OTHER
    assert [each.status for each in await all_certificates(steps.sessions)] == ["superseded", "superseded", "issued"]


@pytest.mark.parametrize(
    ("name", "reason"), [(NAME, Reason.NAME_UNCHANGED), (" \0 ", Reason.NAME_INVALID), ("12", Reason.NAME_INVALID)]
)
async def test_what_is_no_other_name_is_refused(
    steps: CertificateActivities, certificate_id: UUID, name: str, reason: Reason
) -> None:
    assert await wished(steps.sessions, certificate_id, name) is reason
    assert await wished(steps.sessions, uuid4(), SLIP) is Reason.NOT_FOUND


async def test_a_wish_belongs_to_its_certificate(
    steps: CertificateActivities, orders: OrderActivities, certificate_id: UUID
) -> None:
    yearly = AssignedTemplate(await template(steps.sessions, "other"))
    await certify(steps.sessions, "french-a2", yearly)
    other_id = await issued(steps, await a_place(steps.sessions, orders, "french-a2"))
    correction_id = await wish(steps.sessions, certificate_id, SLIP)
    assert (await steps.change_certificate(correcting(other_id, correction_id))).refusal is Reason.NOT_FOUND
    assert (await steps.change_certificate(correcting(certificate_id, uuid4()))).refusal is Reason.NOT_FOUND
    assert (await decided(steps, uuid4(), approved=True)).refusal is Reason.NOT_FOUND


async def test_of_two_wishes_at_once_one_is_taken(steps: CertificateActivities, certificate_id: UUID) -> None:
    names = ("Łukasz Żółciński", "Lukasz Żółciński", "Luka Żółciński", "Lukasc Żółciński")
    found = await asyncio.gather(*(wished(steps.sessions, certificate_id, name) for name in names))
    assert sorted(each for each in found if isinstance(each, Reason)) == [Reason.CORRECTION_IN_PROGRESS] * 3


async def test_a_name_is_corrected_once_however_often_the_step_races(
    steps: CertificateActivities, certificate_id: UUID
) -> None:
    correction_id = await wish(steps.sessions, certificate_id, SLIP)
    answers = await asyncio.gather(
        *(steps.change_certificate(correcting(certificate_id, correction_id)) for _ in range(4))
    )
    assert len({answer.certificate_id for answer in answers}) == 1
    assert len(await all_certificates(steps.sessions)) == 2
