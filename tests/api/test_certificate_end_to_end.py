"""Certificates over HTTP on real parts: issued, mailed, checked, revoked, corrected, and for many at once."""

import asyncio
import io
import re
from typing import Any
from uuid import UUID

from openpyxl import load_workbook
from pypdf import PdfReader
from sqlalchemy import update
from sqlmodel import col

from models.tables import Enrollment
from models.tables.columns import now
from models.vocabulary import Role
from sandbox.sample_academy import read_academy, sample_id
from tests.api.uploads import PDF
from tests.eventually import eventually
from tests.installation import Installation, Json
from tests.integration.letter_steps import text_of
from tests.ordering import until_mailed

COURSE = "study-skills"
_DOWNLOAD = re.compile(r"https?://\S+/v1/certificates/download/[A-Za-z0-9._-]+")
_JSON = {"Accept": "application/json"}


async def a_place(installation: Installation, student: str) -> str:
    """The place of a student in the free course."""
    order = (await installation.post_order(COURSE, by=student)).raise_for_status().json()
    await installation.order_ends(order["id"])
    found = await installation.http.get("/v1/enrollments", headers=installation.caller(student))
    [enrollment] = found.raise_for_status().json()["items"]
    return str(enrollment["id"])


async def by_staff(installation: Installation, path: str, body: Json | None = None) -> Json:
    answer = await installation.staff_posts(path, body or {})
    told: Json = answer.json()
    return told


async def read(installation: Installation, path: str, by: str | None = None) -> Json:
    headers = installation.caller(by) if by else installation.caller("finance", Role.STAFF)
    told: Json = (await installation.http.get(path, headers=headers)).raise_for_status().json()
    return told


async def file_of(installation: Installation, certificate_id: str, by: str) -> bytes:
    """The PDF, once it is there."""
    got: list[bytes] = []

    async def is_there() -> bool:
        path = f"/v1/certificates/{certificate_id}.pdf"
        answer = await installation.http.get(path, headers=installation.caller(by))
        got[:] = [answer.content]
        return answer.status_code == 200

    await eventually(is_there)
    return got[0]


async def checked(installation: Installation, certificate: Json) -> Json:
    """What the page says to programs."""
    told: Json = (await installation.http.get(certificate["verify_url"], headers=_JSON)).raise_for_status().json()
    return told


async def is_over(installation: Installation, place: str) -> None:
    """Wait until nothing will ever be due of the certificates of the place."""
    await asyncio.wait_for(installation.temporal.get_workflow_handle(f"certificate-{place}").result(), 60)


async def complete(installation: Installation, *places: str) -> None:
    """Their course is completed."""
    async with installation.sessions.begin() as session:
        done = update(Enrollment).where(col(Enrollment.id).in_([UUID(place) for place in places]))
        await session.execute(done.values(completed_at=now()))


async def test_a_certificate_from_its_issue_to_another_name(installation: Installation) -> None:
    http, own = installation.http, installation.caller("grace")
    place = await a_place(installation, "grace")
    path = f"/v1/enrollments/{place}/certificate"
    early = await http.post(path, headers=own)
    assert (early.status_code, early.json()["reason"]) == (409, "certificate_not_eligible")
    assert [each["pointer"] for each in early.json()["errors"]] == ["#/grounds/not_completed"]
    granted = await by_staff(installation, path, {"exception_note": "She has taught this course before."})
    [certificate] = granted["certificates"]
    assert certificate["holder"] == "Grace Brewster Murray Hopper"
    pdf = await file_of(installation, certificate["id"], "grace")
    printed = " ".join(PdfReader(io.BytesIO(pdf)).pages[0].extract_text().split())
    assert "Grace Brewster Murray Hopper" in printed
    assert certificate["number"] in printed

    await until_mailed(installation, "certificate_issued")
    [link] = {found for mail in installation.mailbox.mails() for found in _DOWNLOAD.findall(text_of(mail))}
    assert (await http.get(link)).content == pdf
    page = await http.get(certificate["verify_url"], headers={"Accept": "text/html", "Accept-Language": "de"})
    assert (page.status_code, "Grace Brewster Murray Hopper" in page.text) == (200, True)
    for sent, is_same in ((pdf, True), (pdf + b" ", False)):
        compared = await http.post(certificate["verify_url"], files={"file": ("c.pdf", sent)}, headers=_JSON)
        assert compared.json()["is_same_file"] is is_same
    address = next(person.email for person in read_academy().people if person.key == "grace")
    assert address not in page.text

    revoking = {"reason": "misconduct", "note": "An essay was copied."}
    await by_staff(installation, f"/v1/certificates/{certificate['id']}/revoke", revoking)
    assert (await checked(installation, certificate))["validity"] == "revoked"
    await until_mailed(installation, "certificate_revoked")
    await by_staff(installation, f"/v1/certificates/{certificate['id']}/reinstate")
    assert (await checked(installation, certificate))["validity"] == "valid"

    corrections = f"/v1/certificates/{certificate['id']}/corrections"
    form = {"name": (None, "Grace Murray"), "file": ("deed.pdf", PDF)}
    asked = await http.post(corrections, files=form, headers={**own, "Idempotency-Key": "deed"})  # type: ignore[arg-type]
    assert (asked.status_code, asked.json()["needs_person"]) == (202, True)
    [task] = await installation.tasks(certificate["id"])
    assert (task["kind"], task["queue"]) == ("name_correction", "support")
    await by_staff(installation, f"/v1/tasks/{task['id']}/decision", {"action": "approve"})
    [decided] = (await read(installation, corrections, "grace"))["items"]
    new = await read(installation, f"/v1/certificates/{decided['new_certificate_id']}", "grace")
    assert (new["holder"], new["predecessor_id"]) == ("Grace Murray", certificate["id"])
    old = await checked(installation, certificate)
    assert (old["validity"], old["superseded_by"]) == ("superseded", new["verify_url"])
    assert (await http.get(link)).headers["location"] == certificate["verify_url"]
    assert await file_of(installation, new["id"], "grace") != pdf
    await is_over(installation, place)
    history = (await installation.temporal.get_workflow_handle(f"certificate-{place}").fetch_history()).to_json()
    for words in ("Hopper", "Murray", "taught", "essay", address):
        assert words not in history


async def test_many_at_once_one_of_whom_has_yet_to_confirm_a_name(installation: Installation) -> None:
    ready, waiting = [await a_place(installation, student) for student in ("layla", "lukasz")]
    await complete(installation, ready, waiting)
    path = f"/v1/courses/{sample_id('course', COURSE)}/certificates"
    tried = await by_staff(installation, f"{path}?dry_run=true")
    assert tried["outcomes"] == {"issued": 1, "waiting": 1}
    batch = await by_staff(installation, path)
    where = f"/v1/certificate-batches/{batch['id']}"

    async def is_done() -> bool:
        return bool((await read(installation, where))["status"] == "done")

    await eventually(is_done, within=60)
    done = await read(installation, where)
    assert (done["done"], done["outcomes"]) == (2, {"issued": 1, "waiting": 1})
    book = await installation.http.get(f"{where}/result.xlsx", headers=installation.caller("finance", Role.STAFF))
    rows: list[tuple[Any, ...]] = list(load_workbook(io.BytesIO(book.content)).active.iter_rows(values_only=True))
    assert {row[1]: row[3] for row in rows[1:]} == {ready: "issued", waiting: "waiting"}

    await until_mailed(installation, "certificate_name_needed")
    name = {"name": "Łukasz Żółciński"}
    mine = f"/v1/people/{sample_id('person', 'lukasz')}/legal-name"
    (await installation.http.put(mine, json=name, headers=installation.caller("lukasz"))).raise_for_status()

    async def is_issued() -> bool:
        found = await read(installation, "/v1/certificates", "lukasz")
        return [each["holder"] for each in found["items"] if each["is_rendered"]] == [name["name"]]

    await eventually(is_issued)
    for place in (ready, waiting):
        await is_over(installation, place)
