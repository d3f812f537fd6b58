"""The application with an academy on record, for tests that send it thousands of requests from outside any loop."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import httpx
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import SecretStr
from sqlalchemy import select, text, update
from sqlmodel import SQLModel, col
from starlette.routing import BaseRoute
from temporalio.client import Client

from activities.certificate_samples import shipped_templates
from activities.database import Sessions, open_database, sessions_of
from api import create_app
from models.tables import (
    Cascade,
    CertificateBatch,
    CertificateTemplateVersion,
    CheckRun,
    ClassSession,
    Course,
    CourseChange,
    Dispute,
    Export,
    Lesson,
    NameCorrection,
    RefundRequest,
)
from models.tables.columns import now
from models.vocabulary import (
    ApplicationStatus,
    CascadeKind,
    CheckKind,
    ContentChange,
    ExportFormat,
    ExportReport,
    RefundCause,
    RefundRequestStatus,
    RefundShare,
    Role,
)
from routes.authentication import Requirement
from routes.parts import Connections
from routes.rate_limits import RateLimit
from settings import Settings
from tests.api.applications_on_record import write_application, write_document, write_task
from tests.api.callers import as_
from tests.api.carts_on_record import write_cart
from tests.api.certificates_on_record import CODE, ReadPlace, place_of, write_certificate
from tests.api.conftest import installation_in_test_mode
from tests.api.orders_on_record import School, write_order, write_school
from tests.fresh_record import empty_record, load_academy
from tests.robustness.idle_temporal import IdleTemporal

SECRET_OF_LINKS = "a-link-secret-of-at-least-thirty-two-bytes"
# What a path or a body calls a thing, where that is not the name of its table.
_TABLES = {
    "batch_id": "certificate_batches",
    "change_id": "course_changes",
    "meeting_id": "class_sessions",
    "person_id": "people",
    "application_id": "tutor_applications",
    "template_id": "certificate_templates",
    "correction_id": "name_corrections",
    "check_id": "check_runs",
    "task_id": "human_tasks",
    "refund_id": "refund_requests",
    "paper_id": "documents",
}


@dataclass(frozen=True)
class People:
    """Anna, to whom what is on record belongs, Boris, to whom nothing does, and the tutor of her course."""

    anna: UUID
    boris: UUID
    tutor: UUID


@dataclass
class StandingApp:
    """The application, somebody who sends it requests, and what is on record."""

    app: FastAPI
    settings: Settings
    people: People
    known: dict[str, str]
    portal: BlockingPortal
    sessions: Sessions
    _http: httpx.AsyncClient = field(repr=False)

    def send(self, method: str, url: str, **options: Any) -> httpx.Response:
        """The answer to one request."""

        async def sent() -> httpx.Response:
            return await self._http.request(method, url, **options)

        return self.portal.call(sent)

    def caller(self, *roles: Role, person: UUID | None = None) -> dict[str, str]:
        """The headers of Anna, or of another person, with these roles."""
        return as_(self.settings, person or self.people.anna, *roles)

    def known_at(self, path: str) -> dict[str, str]:
        """Ids of what is on record, as the parts of this path name it: two kinds of documents have one name."""
        papers = {"document_id": self.known["paper_id"]} if path.startswith("/v1/documents") else {}
        return {**self.known, **papers}

    @cached_property
    def routes(self) -> dict[str, APIRoute]:
        """Every route that is documented, by its operation's id."""
        return {route.operation_id or route.name: route for route in routes_of(self.app) if route.include_in_schema}


def routes_of(app: FastAPI) -> list[APIRoute]:
    """Every route of the API itself, without what the framework serves of files and documentation."""

    def within(routes: Iterable[BaseRoute]) -> Iterator[APIRoute]:
        for route in routes:
            if isinstance(route, APIRoute):
                yield route
            elif (included := getattr(route, "original_router", None)) is not None:
                yield from within(included.routes)

    return list(within(app.routes))


def requirement_of(route: APIRoute) -> Requirement | None:
    """What the route demands of its caller; none if it is open to everybody."""

    def of(dependant: Dependant) -> Iterator[Requirement]:
        if isinstance(dependant.call, Requirement):
            yield dependant.call
        for each in dependant.dependencies:
            yield from of(each)

    found = set(of(route.dependant))
    assert len(found) <= 1, f"{route.path}: {found}"
    return next(iter(found), None)


@contextmanager
def standing_app(database_url: str, folder: Path) -> Iterator[StandingApp]:
    """The application on a fresh record, in an event loop of its own."""
    settings = installation_in_test_mode(folder).model_copy(update={"link_secret": SecretStr(SECRET_OF_LINKS)})
    with start_blocking_portal() as portal:
        engine = portal.call(lambda: _opened(database_url))
        sessions = sessions_of(engine)
        people, known = portal.call(_filled, sessions)
        app = create_app(settings, temporal=cast(Client, IdleTemporal()), sessions=sessions)
        # A minute passes between any two who check certificates.
        app.state.parts = replace(app.state.parts, verification_limit=RateLimit(clock=count(step=61).__next__))
        http = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app, raise_app_exceptions=False), base_url="http://registrar.test"
        )
        assert isinstance(app.state.connections, Connections)
        yield StandingApp(app, settings, people, known, portal, sessions, http)
        portal.call(http.aclose)
        portal.call(engine.dispose)


async def _opened(database_url: str) -> Any:
    return open_database(database_url, 5)


async def _filled(sessions: Sessions) -> tuple[People, dict[str, str]]:
    await empty_record(sessions)
    await load_academy(sessions)
    school = await write_school(sessions)
    people = People(anna=school.anna, boris=school.boris, tutor=school.tutor)
    known = await _written(sessions, people, school)
    return people, known


async def _written(sessions: Sessions, people: People, school: School) -> dict[str, str]:
    order_id = await write_order(sessions, school, people.anna, 1, paid=True)
    place = await place_of(sessions, order_id)
    certificate_id = await write_certificate(sessions, order_id)
    canvas = shipped_templates()["classic"].model_dump(mode="json")
    async with sessions.begin() as session:
        await session.execute(update(CertificateTemplateVersion).values(canvas=canvas))
        await session.execute(
            update(Course)
            .where(col(Course.id) == school.course)
            .values(tutor_id=people.tutor, approver_id=people.tutor)
        )
        meeting = ClassSession(
            course_id=school.course, title="Meeting", starts_at=now() - timedelta(hours=2), ends_at=now()
        )
        lesson = Lesson(course_id=school.course, position=1, title="First")
        session.add_all([meeting, lesson])
        await session.flush()
        ids = {"meeting_id": str(meeting.id), "lesson_id": str(lesson.id)}
        # What is Anna's is all hers: the place and what came of it.
        for table in ("order_lines", "enrollments"):
            await session.execute(
                text(f"UPDATE {table} SET student_id = :anna WHERE student_id = :student"),  # noqa: S608
                {"anna": people.anna, "student": place.student},
            )
    application_id = await write_application(sessions, people.anna, ApplicationStatus.IN_REVIEW)
    document_id = await write_document(sessions, application_id)
    task_id = await write_task(sessions, application_id)
    cart_id = await write_cart(sessions, people.anna, school.course)
    await _write_the_rest(sessions, place, order_id, certificate_id)
    return {
        **await _first_ids(sessions),
        **ids,
        "order_id": str(order_id),
        "enrollment_id": str(place.id),
        "course_id": str(school.course),
        "certificate_id": str(certificate_id),
        "application_id": str(application_id),
        "document_id": str(document_id),
        "task_id": str(task_id),
        "cart_id": str(cart_id),
        "workflow_id": f"order-{order_id}",
        "code": CODE,
        **{name: str(people.anna) for name in ("person_id", "payer_id", "student_id", "applicant_id", "payer")},
    }


async def _write_the_rest(sessions: Sessions, place: ReadPlace, order_id: UUID, certificate_id: UUID) -> None:
    """One of everything that has an address, as plain as may be."""
    of_anna = f"student:{place.student}"
    rows = [
        RefundRequest(
            enrollment_id=place.id, cause=RefundCause.NO_TIME, status=RefundRequestStatus.REJECTED, grounds=[],
            amount=0, currency="EUR", requested_by=of_anna, workflow_id="refund-1", decided_at=now(),
        ),
        Dispute(
            stripe_dispute_id="dp_1", order_id=order_id, payment_intent_id="pi_1", amount=4900, currency="EUR",
            reason="fraudulent", status="needs_response", opened_at=now(),
        ),
        Export(
            report=ExportReport.ORDERS, format=ExportFormat.CSV, filters={}, asked_sha256="0" * 64,
            requested_by="staff:frida", workflow_id="export-1",
        ),
        CheckRun(kind=CheckKind.STUCK_JOBS, scope="daily", workflow_id="check-1"),
        CourseChange(
            course_id=place.course, change=ContentChange.REMOVE_LESSON, actor="staff:frida", workflow_id="change-1",
            request={"course_id": str(place.course), "change_id": str(UUID(int=1)), "actor": "staff:frida",
                     "content": "remove_lesson"},
        ),
        Cascade(
            kind=CascadeKind.COURSE_REMOVED, share=RefundShare.FULL, requested_by="admin:ada", workflow_id="cascade-1",
            course_id=place.course,
        ),
        CertificateBatch(
            course_id=place.course, requested_by="staff:frida", asked_sha256="0" * 64, workflow_id="batch-1"
        ),
        NameCorrection(
            certificate_id=certificate_id, requested_name="Anne", needs_person=True, requested_by=of_anna
        ),
    ]  # fmt: skip
    async with sessions.begin() as session:
        session.add_all(rows)


async def _first_ids(sessions: Sessions) -> dict[str, str]:
    """An id of each thing there is, by the name that a path or a body gives it."""
    tables = {name: table for name, table in SQLModel.metadata.tables.items() if "id" in table.c}
    named = {f"{name.removesuffix('s')}_id": name for name in tables} | _TABLES
    async with sessions() as session:
        found = {name: await session.scalar(select(tables[table].c.id).limit(1)) for name, table in named.items()}
    return {name: str(value) for name, value in found.items() if value is not None}
