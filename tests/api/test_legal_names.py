"""The name that certificates bear: confirmed once, by its bearer or staff, and told to the jobs that wait for it."""

from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select
from sqlmodel import col

from activities.database import Sessions
from models.tables import AuditEntry, Enrollment, OrderLine
from models.vocabulary import Role
from settings import Settings
from tests.api.callers import as_, as_staff, as_student
from tests.api.certificates_on_record import (
    ReadPlace,
    certify_course,
    complete_place,
    place_of,
    write_academy,
    write_certificate,
)
from tests.api.orders_on_record import write_order, write_school
from tests.api.recording_temporal import RecordingTemporal, not_found, unreachable


@pytest.fixture
async def place(sessions: Sessions) -> ReadPlace:
    await write_academy(sessions)
    school = await write_school(sessions)
    await certify_course(sessions, school.course)
    place = await place_of(sessions, await write_order(sessions, school, school.anna, 1, paid=True))
    await complete_place(sessions, place)
    return place


def path_of(person_id: UUID) -> str:
    return f"/v1/people/{person_id}/legal-name"


async def test_it_is_confirmed_once_and_wakes_who_waits(
    client: httpx.AsyncClient, settings: Settings, recorder: RecordingTemporal, place: ReadPlace
) -> None:
    own, path = as_student(settings, place.student), path_of(place.student)
    before = (await client.get(path, headers=own)).json()
    assert (before["name"], before["is_confirmed"], before["confirmed_at"]) == ("Student", False, None)
    confirmed = await client.put(path, json={"name": "  Łukasz \n Żółciński "}, headers=own)
    assert confirmed.status_code == 200, confirmed.text
    assert (confirmed.json()["name"], confirmed.json()["is_confirmed"]) == ("Łukasz Żółciński", True)
    assert recorder.signals == [(f"certificate-{place.id}", "facts_changed")]
    again = await client.put(path, json={"name": "Łukasz Żółciński"}, headers=own)
    assert again.json() == confirmed.json()
    other = await client.put(path, json={"name": "Łukasz Nowak"}, headers=own)
    assert (other.status_code, other.json()["reason"]) == (409, "name_already_confirmed")
    assert (await client.get(path, headers=own)).json() == confirmed.json()


async def test_staff_mends_it_before_a_certificate_bears_it(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, place: ReadPlace
) -> None:
    own, staff, path = as_student(settings, place.student), as_staff(settings), path_of(place.student)
    await client.put(path, json={"name": "Anan Ó Briain"}, headers=own)
    service = as_(settings, "platform", Role.SERVICE)
    for headers in (own, service):
        refused = await client.put(path, json={"name": "Anna Ó Briain"}, headers=headers)
        assert refused.json()["reason"] == "name_already_confirmed"
    mended = await client.put(path, json={"name": "Anna Ó Briain"}, headers=staff)
    assert (mended.status_code, mended.json()["name"]) == (200, "Anna Ó Briain")
    query = select(col(AuditEntry.actor)).where(col(AuditEntry.subject_id) == place.student)
    async with sessions() as session:
        entries = (await session.scalars(query.order_by(col(AuditEntry.created_at)))).all()
    assert entries == [f"student:{place.student}", "staff:frida"]
    async with sessions() as session:
        order_id = (
            await session.scalars(
                select(col(OrderLine.order_id))
                .join(Enrollment, col(Enrollment.order_line_id) == col(OrderLine.id))
                .where(col(Enrollment.id) == place.id)
            )
        ).one()
    await write_certificate(sessions, order_id)
    late = await client.put(path, json={"name": "Anna Nowak"}, headers=staff)
    assert (late.status_code, late.json()["reason"]) == (409, "name_already_confirmed")


@pytest.mark.parametrize("name", ["123", "-", "Anna\u202eannA", "a" * 201])
async def test_what_is_no_name_is_refused(
    client: httpx.AsyncClient, settings: Settings, place: ReadPlace, name: str
) -> None:
    refused = await client.put(path_of(place.student), json={"name": name}, headers=as_student(settings, place.student))
    assert (refused.status_code, refused.json()["reason"]) == (422, "name_invalid")


async def test_nobody_confirms_somebody_elses_but_staff(
    client: httpx.AsyncClient, settings: Settings, place: ReadPlace
) -> None:
    path, body = path_of(place.student), {"name": "Anna Ó Briain"}
    for headers in (as_student(settings, uuid4()), as_(settings, uuid4(), Role.TUTOR)):
        assert (await client.get(path, headers=headers)).status_code == 404
        assert (await client.put(path, json=body, headers=headers)).status_code == 404
    assert (await client.put(path, json=body, headers=as_staff(settings))).json()["is_confirmed"] is True
    assert (await client.put(path_of(uuid4()), json=body, headers=as_staff(settings))).status_code == 404


@pytest.mark.parametrize("failure", [not_found(), unreachable()])
async def test_a_job_that_does_not_hear_of_it_loses_nothing(
    client: httpx.AsyncClient, settings: Settings, recorder: RecordingTemporal, place: ReadPlace, failure: Exception
) -> None:
    recorder.failure = failure  # type: ignore[assignment]
    own = as_student(settings, place.student)
    confirmed = await client.put(path_of(place.student), json={"name": "Anna Ó Briain"}, headers=own)
    assert confirmed.json()["is_confirmed"] is True
    recorder.failure = None
    await client.put(path_of(place.student), json={"name": "Anna Ó Briain"}, headers=own)
    assert recorder.signals == [(f"certificate-{place.id}", "facts_changed")]
