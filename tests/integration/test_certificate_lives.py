"""Whatever happens to certificates in whatever order, repeated and raced: one counts, no number is missing, and the
audit log tells a lawful story."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from random import Random
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select
from sqlmodel import col

from activities.certificate_corrections import WantedName, request_correction
from activities.certificate_templates import AssignedTemplate
from activities.certificates import CertificateActivities
from activities.orders import OrderActivities
from models.messages.certificates import CertificateStep, CorrectName, DecideCorrection
from models.tables import AuditEntry, Certificate, NameCorrection
from models.vocabulary import CertificateStatus, CorrectionStatus, RevocationReason
from rules.decision import Refused
from rules.lifecycle import may_follow
from tests.integration.certified_places import (
    NOON,
    a_place,
    all_certificates,
    blank,
    certify,
    confirm,
    issuing,
    reinstating,
    renewing,
    revoking,
    template,
    tended,
)

NAMES = ("Lukas Żółciński", "Łukasz Żółciński", "Łukasz Nowak", "Lukas Nowak")
Act = Callable[[], Awaitable[object]]


@pytest.fixture
async def steps(orders: OrderActivities) -> CertificateActivities:
    await blank(orders.sessions)
    yearly = AssignedTemplate(await template(orders.sessions, "classic"), valid_days=100, grace_days=30)
    lasting = AssignedTemplate(await template(orders.sessions, "modern"), series="PLUS")
    await certify(orders.sessions, "spanish-a1", yearly, lasting)
    await confirm(orders.sessions, NAMES[0])
    return CertificateActivities(orders.sessions)


@pytest.mark.parametrize("seed", range(3))
async def test_any_life_is_a_lawful_one(steps: CertificateActivities, orders: OrderActivities, seed: int) -> None:
    random = Random(seed)  # noqa: S311
    place, moment = await a_place(steps.sessions, orders), NOON
    seen = set()
    for _ in range(60):
        moment += timedelta(days=random.choice((0, 1, 5, 30, 50)), seconds=1)
        certificates = await all_certificates(steps.sessions)
        chosen = random.choice(certificates).id if certificates else uuid4()
        act = await _act(steps, random, place, chosen, moment)
        # Its answer is lost, or it runs twice at once.
        if random.random() < 0.5:
            assert await act() == await act()
        else:
            await asyncio.gather(act(), act())
        seen |= {each.status for each in await all_certificates(steps.sessions)}
        await _is_lawful(steps)
    assert seen >= {CertificateStatus.ISSUED, CertificateStatus.SUPERSEDED, CertificateStatus.EXPIRED}


async def _act(
    steps: CertificateActivities, random: Random, place: UUID, certificate_id: UUID, moment: datetime
) -> Act:
    wish = random.choice(("issue", "tend", "revoke", "reinstate", "renew", "renew", "correct", "decide"))
    if wish == "correct":
        correction_id = await _wish(steps, random, certificate_id, moment)
        wanted = CorrectName(certificate_id=certificate_id, correction_id=correction_id, actor="staff:7")
        return lambda: steps.change_certificate(
            CertificateStep(wish=wanted, moment=moment, workflow_id="certificate-of-a-test")
        )
    if wish == "decide":
        async with steps.sessions() as session:
            query = select(col(NameCorrection.id)).where(col(NameCorrection.status) == CorrectionStatus.REQUESTED)
            [*open_] = (await session.execute(query.order_by(col(NameCorrection.id)))).scalars()
        decision = DecideCorrection(
            correction_id=random.choice(open_) if open_ else uuid4(),
            is_approved=random.random() < 0.7,
            actor="staff:7",
            moment=moment,
            workflow_id="certificate-of-a-test",
        )
        return lambda: steps.decide_correction(decision)
    reason = random.choice(list(RevocationReason))
    acts: dict[str, Act] = {
        "issue": lambda: steps.issue_certificates(issuing(place, moment)),
        "tend": lambda: tended(steps, place, moment),
        "revoke": lambda: steps.change_certificate(revoking(certificate_id, moment, reason)),
        "reinstate": lambda: steps.change_certificate(reinstating(certificate_id, moment)),
        "renew": lambda: steps.change_certificate(renewing(certificate_id, moment)),
    }
    return acts[wish]


async def _wish(steps: CertificateActivities, random: Random, certificate_id: UUID, moment: datetime) -> UUID:
    wanted = WantedName(
        correction_id=uuid4(),
        certificate_id=certificate_id,
        name=random.choice(NAMES),
        requested_by="staff:7",
        evidence_sha256="b" * 64,
        evidence_media_type="application/pdf",
    )
    async with steps.sessions.begin() as session:
        found = await request_correction(session, wanted, moment)
    return wanted.correction_id if isinstance(found, Refused) else found.id


async def _is_lawful(steps: CertificateActivities) -> None:
    certificates = await all_certificates(steps.sessions)
    _no_number_is_missing(certificates)
    followed = {each.predecessor_id for each in certificates}
    for each in certificates:
        assert each.status != CertificateStatus.SUPERSEDED or each.id in followed
        assert each.id not in followed or each.status in (CertificateStatus.SUPERSEDED, CertificateStatus.EXPIRED)
    query = (
        select(AuditEntry)
        .where(col(AuditEntry.subject_kind) == "certificate")
        .order_by(col(AuditEntry.created_at), col(AuditEntry.id))
    )
    async with steps.sessions() as session:
        entries = (await session.execute(query)).scalars().all()
    told: dict[UUID, str] = {}
    for entry in entries:
        assert told.get(entry.subject_id) == entry.from_state
        if entry.from_state is not None:
            assert may_follow(CertificateStatus(entry.from_state), CertificateStatus(entry.to_state))
        told[entry.subject_id] = entry.to_state
    assert told == {each.id: each.status for each in certificates}


def _no_number_is_missing(certificates: Sequence[Certificate]) -> None:
    series: dict[str, list[int]] = {}
    for each in certificates:
        name, _, number = (each.number or "").rpartition("-")
        series.setdefault(name, []).append(int(number))
    for numbers in series.values():
        assert numbers == list(range(1, len(numbers) + 1))
