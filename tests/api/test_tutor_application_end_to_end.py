"""Tutors' applications over HTTP on real parts: drafted, handed in, asked about, decided by one person or by two."""

import asyncio
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import delete

from models.tables import Reviewer, Subject
from models.vocabulary import Role
from sandbox.sample_academy import sample_id
from tests.api.uploads import PDF, PNG
from tests.eventually import eventually
from tests.installation import Installation, Json
from tests.ordering import until_mailed

SUBJECT = "origami"
# Two who review, and one of them wants to teach as well.
ROSA, RITA = "finance", "lead"


@pytest.fixture(autouse=True)
async def reviewing(installation: Installation) -> None:
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


async def test_from_a_draft_to_a_tutor_with_a_question_on_the_way(installation: Installation) -> None:
    application_id = await begun(installation)
    refused = await call(installation, "POST", f"/{application_id}/submit", "lukasz")
    assert (refused.status_code, refused.json()["reason"]) == (422, "application_incomplete")
    pointers = {part["pointer"] for part in refused.json()["errors"]}
    assert {"#/bio", "#/qualifications", "#/subjects", "#/documents/identity"} <= pointers
    said = {"bio": "I fold.", "qualifications": "A thousand cranes.", "subjects": [SUBJECT]}
    (await call(installation, "PATCH", f"/{application_id}", "lukasz", body=said)).raise_for_status()
    document = await show_identity(installation, application_id, "lukasz", PDF)
    for _ in range(2):  # handing in again changes nothing
        assert (await call(installation, "POST", f"/{application_id}/submit", "lukasz")).status_code == 200

    await until_asked(installation, application_id)
    early = await decide(installation, application_id, ROSA, action="approve")
    assert (early.status_code, early.json()["reason"]) == (409, "verdicts_missing")
    unreadable = {"verdict": "rejected", "reason": "document_unreadable"}
    await judge(installation, application_id, document, unreadable)
    asked = await decide(
        installation, application_id, ROSA, action="request_info", reasons=["document_unreadable"],
        message="It is too dark.", note="Perhaps a phone.",
    )  # fmt: skip
    assert asked.status_code == 200, asked.text
    await until_status(installation, application_id, "info_requested")
    seen = await read(installation, application_id, "lukasz", Role.STUDENT)
    assert [message["text"] for message in seen["messages"]] == ["It is too dark."]
    better = await show_identity(installation, application_id, "lukasz", PNG, replaces=document["id"])
    body = {"message": "By daylight."}
    answered = await call(installation, "POST", f"/{application_id}/answer", "lukasz", body=body)
    assert answered.status_code == 200, answered.text

    await until_asked(installation, application_id)
    await judge(installation, application_id, better, {"verdict": "accepted"})
    approved = await decide(installation, application_id, ROSA, action="approve")
    assert approved.status_code == 200, approved.text
    await until_status(installation, application_id, "approved")
    await until_mailed(installation, "application_approved")
    record = await call(installation, "GET", f"/{application_id}/decision-record.pdf", ROSA, Role.STAFF)
    assert record.content.startswith(b"%PDF-")
    again = await call(installation, "POST", "", "lukasz", body={})
    assert (again.status_code, again.json()["reason"]) == (409, "already_tutor")
    handle = installation.temporal.get_workflow_handle(f"tutor-application-{application_id}")
    await asyncio.wait_for(handle.result(), 60)
    history = (await handle.fetch_history()).to_json()
    for words in ("cranes", "too dark", "daylight", "phone", "passport"):
        assert words not in history


async def test_two_reviewers_at_once_have_one_winner_and_a_hard_rejection_needs_two(installation: Installation) -> None:
    application_id, _ = await handed_in(installation)
    await until_asked(installation, application_id)
    hard = {"action": "reject_hard", "reasons": ["document_forged"]}
    answers = await asyncio.gather(*(decide(installation, application_id, by, **hard) for by in (ROSA, RITA)))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    assert {answer.json().get("reason") for answer in answers if answer.status_code == 409} == {"task_not_open"}
    first, second = (ROSA, RITA) if answers[0].status_code == 200 else (RITA, ROSA)

    task_id = await until_asked(installation, application_id, "tutor_second_opinion")
    assert (await read(installation, application_id, "lukasz", Role.STUDENT))["decisions"] == []
    alone = await decide(installation, application_id, first, action="approve", task_id=task_id)
    assert (alone.status_code, alone.json()["reason"]) == (403, "four_eyes_required")
    agreed = await decide(installation, application_id, second, action="approve", task_id=task_id)
    assert agreed.status_code == 200, agreed.text
    await until_status(installation, application_id, "rejected_hard")
    again = await call(installation, "POST", "", "lukasz", body={})
    assert (again.status_code, again.json()["reason"]) == (409, "reapply_too_soon")


async def test_a_reviewer_who_applies_is_reviewed_by_another_and_may_withdraw(installation: Installation) -> None:
    application_id, _ = await handed_in(installation, ROSA)

    async def is_with_the_other() -> bool:
        review = (await read(installation, application_id, RITA))["review"]
        return bool(UUID(review["reviewer_id"] or "0" * 32) == sample_id("person", RITA) and review["task_id"])

    await eventually(is_with_the_other)
    own = await decide(installation, application_id, ROSA, action="approve")
    assert (own.status_code, own.json()["reason"]) == (403, "own_application")
    assert (await call(installation, "POST", f"/{application_id}/withdraw", ROSA)).status_code == 200
    await until_mailed(installation, "application_closed")
    late = await decide(installation, application_id, RITA, action="approve")
    assert late.status_code == 409
    changed = await call(installation, "PATCH", f"/{application_id}", ROSA, body={"bio": "x"})
    assert (changed.status_code, changed.json()["reason"]) == (409, "application_not_editable")
