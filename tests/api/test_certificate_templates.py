"""Templates of certificates over HTTP: written by admins, wrong fields named, looked at, and chosen for courses."""

import io
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from PIL import Image
from pypdf import PdfReader

from activities.certificate_samples import shipped_templates
from activities.database import Sessions
from models.vocabulary import Role
from settings import Settings
from tests.api.callers import as_, as_staff, as_student
from tests.api.orders_on_record import School, write_school
from tests.api.uploads import HEIC, PDF

Json = dict[str, Any]
TEMPLATES = "/v1/certificate-templates"
CLASSIC: Json = shipped_templates()["classic"].model_dump(mode="json")
PLAIN: Json = {
    "width": 600,
    "height": 400,
    "boxes": [{"key": "student_full_name", "top": 100, "left": 50, "width": 500, "height": 60, "font_family": "Arial"}],
}


@pytest.fixture
async def school(sessions: Sessions) -> School:
    return await write_school(sessions)


@pytest.fixture
def admin(settings: Settings) -> dict[str, str]:
    return as_(settings, "ada", Role.ADMIN)


def picture(side: int = 40) -> bytes:
    kept = io.BytesIO()
    Image.new("RGB", (side, side), "#eeddcc").save(kept, "PNG")
    return kept.getvalue()


async def write(
    client: httpx.AsyncClient, admin: dict[str, str], name: str = "plain", canvas: Json = PLAIN, key: str | None = None
) -> httpx.Response:
    headers = {**admin, "Idempotency-Key": key or uuid4().hex}
    return await client.post(TEMPLATES, json={"name": name, "title": "Plain", "canvas": canvas}, headers=headers)


async def test_it_is_kept_version_by_version(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, admin: dict[str, str]
) -> None:
    first, again = [await write(client, admin, key="k") for _ in range(2)]
    assert (first.status_code, again.json()) == (201, first.json())
    for name, canvas in (("other", PLAIN), ("plain", CLASSIC)):
        reused = await write(client, admin, name, canvas, key="k")
        assert (reused.status_code, reused.json()["reason"]) == (422, "idempotency_key_reused")
    path = first.headers["location"]
    # Academy of Mine's name of a font is read as one that ships.
    assert first.json()["canvas"]["boxes"][0]["font_family"] == "Lato"
    assert first.json()["version"] == 1
    for version in (2, 2):  # the same canvas is no version
        changed = await client.put(path, json={"title": "Classic", "canvas": CLASSIC}, headers=admin)
        assert (changed.json()["version"], changed.json()["title"]) == (version, "Classic")
    assert (await write(client, admin, key="k")).json()["version"] == 2
    read = (await client.get(path, headers=as_staff(settings))).json()
    assert (read["canvas"], read["version"]) == (CLASSIC, 2)
    listed = (await client.get(TEMPLATES, headers=as_staff(settings))).json()
    assert [each["name"] for each in listed["items"]] == ["plain"]
    taken = await write(client, admin)
    assert (taken.status_code, taken.json()["reason"]) == (422, "template_invalid")
    assert taken.json()["errors"][0]["pointer"] == "#/name"


async def test_every_wrong_field_is_named(client: httpx.AsyncClient, sessions: Sessions, admin: dict[str, str]) -> None:
    box = PLAIN["boxes"][0]
    canvas = {
        **PLAIN,
        "boxes": [{**box, "font_color": "puce"}, {**box, "key": "shoe_size"}, {**box, "font_family": "Comic Sans"}],
    }
    refused = (await write(client, admin, canvas=canvas)).json()
    assert refused["reason"] == "template_invalid"
    assert [each["pointer"] for each in refused["errors"]] == [
        "#/canvas/boxes/0/font_color",
        "#/canvas/boxes/1/key",
        "#/canvas/boxes/2/font_family",
    ]
    assert "is no color" in refused["errors"][0]["detail"]
    for wrong in ({}, {**PLAIN, "boxes": []}, {**PLAIN, "more": 1}, {**PLAIN, "width": 500}):
        assert (await write(client, admin, canvas=wrong)).json()["reason"] == "template_invalid", wrong
    assert (await write(client, admin, canvas=[])).json()["reason"] == "invalid_request"  # type: ignore[arg-type]


async def test_a_background_is_uploaded_before_it_is_referred_to(
    client: httpx.AsyncClient, sessions: Sessions, admin: dict[str, str]
) -> None:
    missing = {**PLAIN, "background": {"sha256": "0" * 64, "media_type": "image/png"}}
    refused = (await write(client, admin, canvas=missing)).json()
    assert refused["errors"][0]["pointer"] == "#/canvas/background/sha256"
    path = "/v1/certificate-backgrounds"
    kept = await client.post(path, files={"file": ("b.png", picture())}, headers=admin)
    assert kept.status_code == 201, kept.text
    written = await write(client, admin, canvas={**PLAIN, "background": kept.json()})
    assert written.status_code == 201, written.text
    seen = await client.post(f"{written.headers['location']}/preview", headers=admin)
    assert len(PdfReader(io.BytesIO(seen.content)).pages[0].images) == 1
    for content in (HEIC, PDF, b"x"):
        useless = await client.post(path, files={"file": ("b.png", content)}, headers=admin)
        assert (useless.status_code, useless.json()["reason"]) == (415, "unsupported_file")


async def test_it_is_looked_at_about_somebody_made_up(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, admin: dict[str, str]
) -> None:
    path = f"{(await write(client, admin, canvas=CLASSIC)).headers['location']}/preview"
    staff = as_staff(settings)
    kept = await client.post(path, headers=staff)
    assert (kept.status_code, kept.headers["content-type"]) == (200, "application/pdf")
    assert "Aoife Ní Dhomhnaill" in PdfReader(io.BytesIO(kept.content)).pages[0].extract_text()
    mine = await client.post(path, json={"canvas": PLAIN, "name": "Łukasz Żółciński", "language": "pl"}, headers=staff)
    assert PdfReader(io.BytesIO(mine.content)).pages[0].extract_text().strip() == "Łukasz Żółciński"
    wrong = await client.post(path, json={"canvas": {**PLAIN, "width": 3}}, headers=staff)
    assert wrong.json()["reason"] == "template_invalid"
    assert (await client.post(f"{TEMPLATES}/{uuid4()}/preview", headers=staff)).status_code == 404


async def test_a_course_certifies_by_what_was_chosen_last(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, school: School, admin: dict[str, str]
) -> None:
    ids = [(await write(client, admin, name=name)).json()["id"] for name in ("one", "two")]
    path = f"/v1/courses/{school.course}/certificate-templates"
    assert (await client.get(path, headers=as_staff(settings))).json() == {"templates": []}
    body = {"templates": [{"template_id": ids[0], "valid_days": 365, "grace_days": 30, "series": "SPA"}]}
    chosen = await client.put(path, json=body, headers=admin)
    assert (chosen.status_code, chosen.json()) == (200, body)
    other = await client.put(path, json={"templates": [{"template_id": ids[1]}]}, headers=admin)
    assert [each["template_id"] for each in other.json()["templates"]] == [ids[1]]
    assert (await client.get(path, headers=as_staff(settings))).json() == other.json()
    twice = await client.put(path, json={"templates": [{"template_id": ids[0]}] * 2}, headers=admin)
    assert (twice.status_code, twice.json()["reason"]) == (422, "invalid_request")
    unknown = await client.put(path, json={"templates": [{"template_id": str(uuid4())}]}, headers=admin)
    assert unknown.status_code == 404
    assert (await client.get(path, headers=admin)).json() == other.json()
    gone = await client.put(f"/v1/courses/{uuid4()}/certificate-templates", json=body, headers=admin)
    assert (gone.status_code, gone.json()["reason"]) == (404, "not_found")
    assert (await client.put(path, json={"templates": []}, headers=admin)).json() == {"templates": []}


@pytest.mark.parametrize(
    "more", [{"valid_days": 0}, {"grace_days": 5}, {"series": "cert"}, {"series": "TOOLONGER"}, {"price": 1}]
)
async def test_a_choice_makes_sense(
    client: httpx.AsyncClient, sessions: Sessions, school: School, admin: dict[str, str], more: Json
) -> None:
    path = f"/v1/courses/{school.course}/certificate-templates"
    body = {"templates": [{"template_id": str(uuid4()), **more}]}
    refused = await client.put(path, json=body, headers=admin)
    assert (refused.status_code, refused.json()["reason"]) == (422, "invalid_request")


async def test_admins_write_staff_reads_and_nobody_else(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, school: School, admin: dict[str, str]
) -> None:
    path = (await write(client, admin)).headers["location"]
    of_course = f"/v1/courses/{school.course}/certificate-templates"
    body = {"title": "Plain", "canvas": PLAIN}
    staff = as_staff(settings)

    async def reasons(headers: dict[str, str], *calls: tuple[str, str, Json | None]) -> set[str]:
        keyed = {**headers, "Idempotency-Key": "k"}
        answers = [await client.request(method, where, json=what, headers=keyed) for method, where, what in calls]
        return {answer.json()["reason"] for answer in answers}

    writing: list[tuple[str, str, Json | None]] = [
        ("POST", TEMPLATES, {"name": "x", **body}),
        ("PUT", path, body),
        ("PUT", of_course, {"templates": []}),
    ]
    reading: list[tuple[str, str, Json | None]] = [
        ("GET", TEMPLATES, None),
        ("GET", path, None),
        ("GET", of_course, None),
        ("POST", f"{path}/preview", {}),
    ]
    assert await reasons(staff, *writing) == {"role_not_allowed"}
    for headers in (as_student(settings, school.anna), as_(settings, "platform", Role.SERVICE)):
        assert await reasons(headers, *writing, *reading) == {"role_not_allowed"}
    file = await client.post("/v1/certificate-backgrounds", files={"file": ("b.png", picture())}, headers=staff)
    assert file.json()["reason"] == "role_not_allowed"
    assert (await client.get(f"{TEMPLATES}/{UUID(int=1)}", headers=staff)).status_code == 404
