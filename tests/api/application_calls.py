"""Calling the API about tutors' applications."""

from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import select
from sqlmodel import col

from activities.database import Sessions
from models.tables import Note
from models.vocabulary import Role
from settings import Settings
from tests.api.callers import as_

PATH = "/v1/tutor-applications"


def as_staff_person(settings: Settings, person_id: UUID) -> dict[str, str]:
    return as_(settings, person_id, Role.STAFF)


async def get(client: httpx.AsyncClient, path: str, headers: dict[str, str], **asked: str) -> dict[str, Any]:
    answer = await client.get(f"{PATH}{path}", params=asked, headers=headers)
    body: dict[str, Any] = answer.raise_for_status().json()
    return body


async def post(
    client: httpx.AsyncClient, path: str, headers: dict[str, str], body: object = None
) -> tuple[int, dict[str, Any]]:
    answer = await client.post(path if path.startswith("/v1") else f"{PATH}/{path}", headers=headers, json=body)
    return answer.status_code, answer.json()


async def notes(sessions: Sessions) -> list[tuple[str, str]]:
    async with sessions() as session:
        found = await session.execute(select(col(Note.subject_kind), col(Note.text)).order_by(col(Note.created_at)))
        return [(kind, text) for kind, text in found.all()]
