"""Issuing, revoking, reinstating, renewing and mailing certificates again over HTTP: who may, and what is refused."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import delete, select, update
from sqlmodel import col

from activities.certificates import CertificateActivities
from activities.database import Sessions
from models.messages.certificates import ResendCertificate
from models.tables import Certificate, CourseCertificate, Note
from models.tables.columns import now
from models.vocabulary import CertificateStatus, Role
from settings import Settings
from tests.api.callers import as_, as_staff, as_student
from tests.api.certificates_on_record import (
    ReadPlace,
    certify_course,
    complete_place,
    confirm_name,
    place_of,
    write_academy,
)
from tests.api.certifying_temporal import CertifyingTemporal
from tests.api.orders_on_record import write_order, write_school
from tests.api.recording_temporal import unreachable

Json = dict[str, Any]


@pytest.fixture
def recorder(sessions: Sessions) -> CertifyingTemporal:
    return CertifyingTemporal(steps=CertificateActivities(sessions))


@pytest.fixture
async def place(sessions: Sessions) -> ReadPlace:
    """A place in a course that certifies for a year."""
    await write_academy(sessions)
    school = await write_school(sessions)
    await certify_course(sessions, school.course, valid_days=365)
    return await place_of(sessions, await write_order(sessions, school, school.anna, 1, paid=True))


@pytest.fixture
async def done(sessions: Sessions, place: ReadPlace) -> ReadPlace:
    """The place, with its course completed by somebody whose name is confirmed."""
    await complete_place(sessions, place)
    await confirm_name(sessions, place.student)
    return place


async def issued(client: httpx.AsyncClient, settings: Settings, place: ReadPlace) -> Json:
    answer = await client.post(f"/v1/enrollments/{place.id}/certificate", headers=as_student(settings, place.student))
    assert answer.status_code == 200, answer.text
    [certificate] = answer.json()["certificates"]
    return dict(certificate)


async def notes(sessions: Sessions) -> list[str]:
    async with sessions() as session:
        return list((await session.execute(select(col(Note.text)).order_by(col(Note.created_at)))).scalars())


async def change(sessions: Sessions, certificate_id: str, **values: object) -> None:
    async with sessions.begin() as session:
        await session.execute(update(Certificate).where(col(Certificate.id) == UUID(certificate_id)).values(**values))


async def test_who_has_completed_the_course_gets_one_however_often_they_ask(
    client: httpx.AsyncClient, settings: Settings, recorder: CertifyingTemporal, done: ReadPlace
) -> None:
    certificate = await issued(client, settings, done)
    assert (certificate["status"], certificate["origin"]) == ("issued", "completion")
    assert (certificate["holder"], certificate["is_rendered"]) == ("Anna Ó Briain", False)
    assert (await issued(client, settings, done))["id"] == certificate["id"]
    assert {workflow_id for workflow_id, _ in recorder.started} == {f"certificate-{done.id}"}


async def test_all_that_stands_between_is_said_one_by_one(
    client: httpx.AsyncClient, settings: Settings, place: ReadPlace
) -> None:
    refused = await client.post(f"/v1/enrollments/{place.id}/certificate", headers=as_student(settings, place.student))
    assert (refused.status_code, refused.json()["reason"]) == (409, "certificate_not_eligible")
    pointers = [each["pointer"] for each in refused.json()["errors"]]
    assert pointers == ["#/grounds/not_completed", "#/grounds/name_unconfirmed"]


async def test_without_a_confirmed_name_it_waits(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, place: ReadPlace
) -> None:
    await complete_place(sessions, place)
    waits = await client.post(f"/v1/enrollments/{place.id}/certificate", headers=as_student(settings, place.student))
    assert waits.status_code == 202
    assert (waits.json()["grounds"], waits.json()["certificates"]) == (["name_unconfirmed"], [])


async def test_staff_makes_an_exception_and_says_why(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, place: ReadPlace
) -> None:
    await confirm_name(sessions, place.student)
    path, body = f"/v1/enrollments/{place.id}/certificate", {"exception_note": "Passed on paper."}
    refused = await client.post(path, json=body, headers=as_student(settings, place.student))
    assert (refused.status_code, refused.json()["reason"]) == (403, "role_not_allowed")
    plain = await client.post(path, json={}, headers=as_staff(settings))
    assert plain.json()["reason"] == "certificate_not_eligible"
    assert await notes(sessions) == []
    for _ in range(2):
        granted = await client.post(path, json=body, headers=as_staff(settings))
        assert granted.status_code == 200, granted.text
    [certificate] = granted.json()["certificates"]
    assert certificate["origin"] == "exception"
    assert [note["text"] for note in certificate["notes"]] == ["Passed on paper."]
    assert await notes(sessions) == ["Passed on paper."]


async def test_an_exception_that_is_refused_leaves_no_note(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, place: ReadPlace
) -> None:
    async with sessions.begin() as session:
        await session.execute(delete(CourseCertificate))
    body = {"exception_note": "Passed on paper."}
    refused = await client.post(f"/v1/enrollments/{place.id}/certificate", json=body, headers=as_staff(settings))
    assert [each["pointer"] for each in refused.json()["errors"]] == ["#/grounds/no_template"]
    assert await notes(sessions) == []


async def test_nobody_asks_for_somebody_else(
    client: httpx.AsyncClient, settings: Settings, recorder: CertifyingTemporal, done: ReadPlace
) -> None:
    for headers in (as_student(settings, uuid4()), as_(settings, uuid4(), Role.TUTOR)):
        hidden = await client.post(f"/v1/enrollments/{done.id}/certificate", headers=headers)
        assert (hidden.status_code, hidden.json()["reason"]) == (404, "not_found")
    gone = await client.post(f"/v1/enrollments/{uuid4()}/certificate", headers=as_staff(settings))
    assert gone.status_code == 404
    assert recorder.updates == []


async def test_revoked_with_a_reason_and_reinstated_as_if_nothing_had_been(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, done: ReadPlace
) -> None:
    certificate = await issued(client, settings, done)
    path, staff = f"/v1/certificates/{certificate['id']}", as_staff(settings)
    early = await client.post(f"{path}/reinstate", json={"note": "Not a word."}, headers=staff)
    assert (early.status_code, early.json()["reason"]) == (409, "certificate_not_revoked")
    body = {"reason": "misconduct", "note": "Somebody else sat the exam."}
    revoked = await client.post(f"{path}/revoke", json=body, headers=staff)
    assert (revoked.json()["status"], revoked.json()["revocation_reason"]) == ("revoked", "misconduct")
    assert [note["text"] for note in revoked.json()["notes"]] == ["Somebody else sat the exam."]
    checked = f"/verify/{certificate['verify_url'].rpartition('/')[2]}"
    page = await client.get(checked, headers={"Accept": "application/json"})
    assert (page.json()["validity"], page.json()["revocation_reason"]) == ("revoked", "misconduct")
    own = await client.get(path, headers=as_student(settings, done.student))
    assert (own.json()["status"], own.json()["notes"]) == ("revoked", None)
    other = await client.post(f"{path}/revoke", json={"reason": "other", "note": "Never said."}, headers=staff)
    assert other.json()["reason"] == "certificate_not_issued"
    back = await client.post(f"{path}/reinstate", json={"note": "It was her twin."}, headers=staff)
    assert (back.json()["status"], back.json()["revoked_at"], back.json()["revocation_reason"]) == (
        "issued",
        None,
        None,
    )
    assert await notes(sessions) == ["Somebody else sat the exam.", "It was her twin."]


async def test_the_same_words_at_another_time_are_another_note(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, done: ReadPlace
) -> None:
    path, staff = f"/v1/certificates/{(await issued(client, settings, done))['id']}", as_staff(settings)
    for _ in range(2):
        await client.post(f"{path}/revoke", json={"reason": "other", "note": "A mistake."}, headers=staff)
        await client.post(f"{path}/reinstate", json={"note": "It was none."}, headers=staff)
    assert await notes(sessions) == ["A mistake.", "It was none."] * 2


@pytest.mark.parametrize(("step", "body"), [("revoke", {"reason": "other"}), ("reinstate", {}), ("resend", None)])
async def test_only_staff_revokes_reinstates_and_mails_again(
    client: httpx.AsyncClient, settings: Settings, recorder: CertifyingTemporal, done: ReadPlace, step: str,
    body: Json | None,
) -> None:  # fmt: skip
    certificate = await issued(client, settings, done)
    before = len(recorder.updates)
    for role in (Role.STUDENT, Role.TUTOR, Role.SERVICE):
        headers = {**as_(settings, done.student, role), "Idempotency-Key": "k"}
        refused = await client.post(f"/v1/certificates/{certificate['id']}/{step}", json=body, headers=headers)
        assert (refused.status_code, refused.json()["reason"]) == (403, "role_not_allowed")
    assert len(recorder.updates) == before
    staff = {**as_staff(settings), "Idempotency-Key": "k"}
    gone = await client.post(f"/v1/certificates/{uuid4()}/{step}", json=body, headers=staff)
    assert gone.status_code == 404


@pytest.mark.parametrize(
    "body", [{}, {"reason": "spite"}, {"reason": "other", "more": 1}, {"reason": "other", "note": ""}]
)
async def test_a_reason_is_one_of_the_list(
    client: httpx.AsyncClient, settings: Settings, done: ReadPlace, body: Json
) -> None:
    certificate = await issued(client, settings, done)
    refused = await client.post(f"/v1/certificates/{certificate['id']}/revoke", json=body, headers=as_staff(settings))
    assert (refused.status_code, refused.json()["reason"]) == (422, "invalid_request")


async def test_its_holder_renews_it_in_time_once(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, done: ReadPlace
) -> None:
    certificate = await issued(client, settings, done)
    path, own = f"/v1/certificates/{certificate['id']}/renew", as_student(settings, done.student)
    early = await client.post(path, headers=own)
    assert (early.status_code, early.json()["reason"]) == (409, "certificate_not_renewable")
    soon = now() + timedelta(days=20)
    time = {"issued_at": soon - timedelta(days=365), "expires_at": soon}
    await change(sessions, certificate["id"], **time, renewable_until=soon + timedelta(days=30))
    first, second = [await client.post(path, headers=own) for _ in range(2)]
    assert (first.status_code, second.status_code) == (201, 201)
    new = first.json()
    assert (new["origin"], new["predecessor_id"], new["number"][-1]) == ("renewal", certificate["id"], "2")
    assert first.headers["location"] == f"/v1/certificates/{new['id']}"
    assert second.json()["id"] == new["id"]
    old = (await client.get(f"/v1/certificates/{certificate['id']}", headers=own)).json()
    assert (old["status"], old["successor_id"]) == ("superseded", new["id"])


async def test_a_copy_is_mailed_once_for_a_key(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, recorder: CertifyingTemporal, done: ReadPlace
) -> None:
    certificate = await issued(client, settings, done)
    path = f"/v1/certificates/{certificate['id']}/resend"
    keys = ("one", "one", "two")
    answers = [await client.post(path, headers={**as_staff(settings), "Idempotency-Key": key}) for key in keys]
    assert [answer.status_code for answer in answers] == [202] * 3
    assert answers[0].json()["certificate"] == certificate["number"]
    copies = [wish.copy_id for _, _, wish in recorder.updates if isinstance(wish, ResendCertificate)]
    assert copies[0] == copies[1] != copies[2]
    lacking = await client.post(path, headers=as_staff(settings))
    assert lacking.json()["reason"] == "idempotency_key_missing"
    await change(sessions, certificate["id"], status=CertificateStatus.EXPIRED)
    late = await client.post(path, headers={**as_staff(settings), "Idempotency-Key": "three"})
    assert (late.status_code, late.json()["reason"]) == (409, "certificate_not_issued")


async def test_while_nobody_answers_it_may_be_repeated(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, recorder: CertifyingTemporal, done: ReadPlace
) -> None:
    certificate = await issued(client, settings, done)
    path, body = f"/v1/certificates/{certificate['id']}/revoke", {"reason": "other", "note": "Said once."}
    recorder.failure = unreachable()
    away = await client.post(path, json=body, headers=as_staff(settings))
    assert (away.status_code, away.json()["reason"]) == (503, "unavailable")
    recorder.failure = None
    assert (await client.post(path, json=body, headers=as_staff(settings))).json()["status"] == "revoked"
    assert await notes(sessions) == ["Said once."]
