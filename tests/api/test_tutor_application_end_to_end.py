"""Tutors' applications over HTTP on real parts: drafted, handed in, asked about, decided by one person or by two."""

import asyncio
from uuid import UUID

import pytest

from models.vocabulary import Role
from sandbox.sample_academy import sample_id
from tests.api.uploads import PDF, PNG
from tests.applying import (
    RITA,
    ROSA,
    SUBJECT,
    begun,
    call,
    decide,
    handed_in,
    judge,
    look_for_tutors,
    read,
    show_identity,
    until_asked,
    until_status,
)
from tests.eventually import eventually
from tests.installation import Installation
from tests.ordering import until_mailed


@pytest.fixture(autouse=True)
async def reviewing(installation: Installation) -> None:
    await look_for_tutors(installation)


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
    asking = {
        "action": "request_info", "reasons": ["document_unreadable"],
        "message": "It is too dark.", "note": "Perhaps a phone.",
    }  # fmt: skip
    clicks = await asyncio.gather(*(decide(installation, application_id, ROSA, **asking) for _ in range(3)))
    assert [answer.status_code for answer in clicks] == [200] * 3, [answer.text for answer in clicks]
    await until_status(installation, application_id, "info_requested")
    seen = await read(installation, application_id, "lukasz", Role.STUDENT)
    assert [message["text"] for message in seen["messages"]] == ["It is too dark."]
    [decision] = (await read(installation, application_id))["decisions"]
    assert [note["text"] for note in decision["notes"]] == ["Perhaps a phone."]
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
    # Refused now, the same key begins another one once this is over.
    key = {**installation.caller(ROSA), "Idempotency-Key": "another"}
    refused = await installation.http.post("/v1/tutor-applications", headers=key, json={})
    assert (refused.status_code, refused.json()["reason"]) == (409, "application_exists")
    assert (await call(installation, "POST", f"/{application_id}/withdraw", ROSA)).status_code == 200
    again = await installation.http.post("/v1/tutor-applications", headers=key, json={})
    assert again.status_code == 201, again.text
    await until_mailed(installation, "application_closed")
    late = await decide(installation, application_id, RITA, action="approve")
    assert late.status_code == 409
    changed = await call(installation, "PATCH", f"/{application_id}", ROSA, body={"bio": "x"})
    assert (changed.status_code, changed.json()["reason"]) == (409, "application_not_editable")
