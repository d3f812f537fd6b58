"""Applying as a tutor over HTTP, and reviewing it, as tests do."""

from uuid import uuid4

import httpx
from sqlalchemy import delete

from models.tables import Reviewer, Subject
from models.vocabulary import Role
from sandbox.sample_academy import sample_id
from tests.api.uploads import PDF
from tests.eventually import eventually
from tests.installation import Installation, Json

SUBJECT = "origami"
# Two who review, and one of them wants to teach as well.
ROSA, RITA = "finance", "lead"


async def look_for_tutors(installation: Installation) -> None:
    """A subject that asks for nothing but words and an identity, and two reviewers who are the only ones there."""
    async with installation.sessions.begin() as session:
        await session.execute(delete(Reviewer))
        session.add(Subject(code=SUBJECT, title="Origami"))
        session.add_all(Reviewer(person_id=sample_id("person", key)) for key in (ROSA, RITA))


async def call(
    installation: Installation, method: str, path: str, by: str, role: Role = Role.STUDENT, body: Json | None = None
) -> httpx.Response:
    headers = {**installation.caller(by, role), "Idempotency-Key": uuid4().hex}
    return await installation.http.request(method, f"/v1/tutor-applications{path}", headers=headers, json=body)


async def begun(installation: Installation, by: str = "lukasz") -> str:
    """A draft with nothing in it."""
    answer = await call(installation, "POST", "", by, body={})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def show_identity(installation: Installation, application_id: str, by: str, data: bytes, **more: str) -> Json:
    answer = await installation.http.post(
        f"/v1/tutor-applications/{application_id}/documents",
        headers=installation.caller(by),
        data={"kind": "identity", **more},
        files={"file": ("passport", data, "application/octet-stream")},
    )
    assert answer.status_code == 201, answer.text
    document: Json = answer.json()
    return document


async def handed_in(installation: Installation, by: str = "lukasz") -> tuple[str, Json]:
    """An application that is complete and handed in, and its document."""
    application_id = await begun(installation, by)
    said = {"bio": "I fold.", "qualifications": "A thousand cranes.", "subjects": [SUBJECT]}
    (await call(installation, "PATCH", f"/{application_id}", by, body=said)).raise_for_status()
    document = await show_identity(installation, application_id, by, PDF)
    answer = await call(installation, "POST", f"/{application_id}/submit", by)
    assert answer.status_code == 200, answer.text
    return application_id, document


async def read(installation: Installation, application_id: str, by: str = ROSA, role: Role = Role.STAFF) -> Json:
    found: Json = (await call(installation, "GET", f"/{application_id}", by, role)).raise_for_status().json()
    return found


async def until_asked(installation: Installation, application_id: str, kind: str = "tutor_review") -> str:
    """Wait until such a task is open; return its id."""
    seen: Json = {}

    async def is_asked() -> bool:
        seen.update((await read(installation, application_id))["review"])
        return bool(seen["task_kind"] == kind)

    await eventually(is_asked)
    return str(seen["task_id"])


async def until_status(installation: Installation, application_id: str, status: str) -> None:
    async def is_so() -> bool:
        return bool((await read(installation, application_id))["status"] == status)

    await eventually(is_so)


async def judge(installation: Installation, application_id: str, document: Json, verdict: Json) -> None:
    path = f"/{application_id}/documents/{document['id']}/verdict"
    (await call(installation, "POST", path, ROSA, Role.STAFF, verdict)).raise_for_status()


async def decide(installation: Installation, application_id: str, by: str, **decision: object) -> httpx.Response:
    return await call(installation, "POST", f"/{application_id}/decision", by, Role.STAFF, dict(decision))
