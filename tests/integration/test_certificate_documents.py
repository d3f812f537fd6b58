"""The PDF of a certificate: made once of what was frozen at issue, and again byte by byte; versions of templates."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update
from sqlmodel import col
from temporalio.exceptions import ApplicationError

from activities.certificate_documents import (
    CertificateDiffersError,
    CertificateDocumentActivities,
    certificate_key,
)
from activities.certificate_templates import (
    AssignedTemplate,
    assign_templates,
    canvas_of,
    create_template,
    save_template,
)
from activities.certificates import CertificateActivities
from activities.database import Sessions
from activities.files import FileStore
from activities.orders import OrderActivities
from models.errors import Reason
from models.messages.certificates import RenderCertificate
from models.messages.documents import StoredFile
from models.tables import (
    Certificate,
    CertificateTemplate,
    CertificateTemplateVersion,
    Course,
    CourseCertificate,
    Person,
)
from rules.decision import Refused
from tests.integration.certified_places import (
    CANVAS,
    a_place,
    blank,
    certify,
    confirm,
    issued,
    template,
    the,
)
from tests.integration.order_steps import course

WIDER = CANVAS.model_copy(update={"width": 900})


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as executor:
        yield executor


@pytest.fixture
async def documents(
    orders: OrderActivities, tmp_path: Path, executor: ThreadPoolExecutor
) -> CertificateDocumentActivities:
    await blank(orders.sessions)
    return CertificateDocumentActivities(
        orders.sessions, FileStore(tmp_path.as_uri()), executor, "https://academy.example/"
    )


@pytest.fixture
async def certificate_id(documents: CertificateDocumentActivities, orders: OrderActivities) -> UUID:
    classic = AssignedTemplate(await template(documents.sessions, "classic"))
    await certify(documents.sessions, "spanish-a1", classic)
    await confirm(documents.sessions, "Łukasz Żółciński")
    steps = CertificateActivities(documents.sessions)
    return await issued(steps, await a_place(documents.sessions, orders))


async def rendered(documents: CertificateDocumentActivities, certificate_id: UUID) -> str:
    return (await documents.render_certificate(RenderCertificate(certificate_id=certificate_id))).sha256


async def saved(sessions: Sessions, template_id: UUID, title: str = "classic") -> CertificateTemplate:
    async with sessions.begin() as session:
        found = await save_template(session, template_id, title, WIDER, actor="staff:7")
        assert found is not None
        return found


# ---- the file ----


async def test_the_file_is_stored_and_written_down_once(
    documents: CertificateDocumentActivities, certificate_id: UUID
) -> None:
    digests = await asyncio.gather(*(rendered(documents, certificate_id) for _ in range(3)))
    certificate = await the(documents.sessions, certificate_id)
    assert set(digests) == {certificate.file_sha256}
    pdf = await documents.files.get(certificate_key(certificate_id), digest=certificate.file_sha256)
    assert pdf.startswith(b"%PDF")
    assert await rendered(documents, certificate_id) == certificate.file_sha256


async def test_a_lost_file_is_made_again_as_it_was_whatever_has_changed_since(
    documents: CertificateDocumentActivities, certificate_id: UUID
) -> None:
    digest = await rendered(documents, certificate_id)
    certificate = await the(documents.sessions, certificate_id)
    assert certificate.template_id is not None
    await saved(documents.sessions, certificate.template_id)
    async with documents.sessions.begin() as session:
        await session.execute(update(Person).values(full_name="Somebody Else", legal_name="Somebody Else"))
        await session.execute(update(Course).values(title="Another title"))
    await documents.files.delete(certificate_key(certificate_id))
    assert await rendered(documents, certificate_id) == digest
    await documents.files.get(certificate_key(certificate_id), digest=digest)


async def test_another_file_never_takes_the_place_of_a_lost_one(
    documents: CertificateDocumentActivities, certificate_id: UUID
) -> None:
    await rendered(documents, certificate_id)
    async with documents.sessions.begin() as session:
        await session.execute(update(Certificate).values(file_sha256="f" * 64))
    await documents.files.delete(certificate_key(certificate_id))
    with pytest.raises(CertificateDiffersError):
        await rendered(documents, certificate_id)
    async with documents.sessions.begin() as session:
        await session.execute(update(CertificateTemplateVersion).values(canvas={"width": "Łukasz"}))
    with pytest.raises(CertificateDiffersError) as told:
        await rendered(documents, certificate_id)
    assert "Łukasz" not in str(told.value)


async def test_no_row_is_held_while_the_file_is_stored(
    documents: CertificateDocumentActivities, certificate_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = FileStore.put

    async def looks(self: FileStore, key: str, data: bytes, media_type: str) -> StoredFile:
        async with documents.sessions.begin() as session:
            await session.execute(select(Certificate).with_for_update(nowait=True))
        return await put(self, key, data, media_type)

    monkeypatch.setattr(FileStore, "put", looks)
    await rendered(documents, certificate_id)


async def test_what_is_not_there_is_not_rendered(documents: CertificateDocumentActivities) -> None:
    with pytest.raises(ApplicationError, match="no such") as told:
        await rendered(documents, uuid4())
    assert (told.value.type, told.value.non_retryable) == ("certificate_unknown", True)


# ---- templates ----


async def test_a_template_is_kept_version_by_version(documents: CertificateDocumentActivities) -> None:
    template_id = await template(documents.sessions, "classic")
    versions = [(await saved(documents.sessions, template_id)).version for _ in range(2)]
    # The same again is no version.
    assert versions == [2, 2]
    titled = await saved(documents.sessions, template_id, "Another title")
    assert (titled.version, titled.title) == (2, "Another title")
    async with documents.sessions() as session:
        assert [await canvas_of(session, template_id, number) for number in (1, 2, 3)] == [CANVAS, WIDER, None]
        assert await canvas_of(session, template_id) == WIDER
        assert await save_template(session, uuid4(), "", CANVAS, actor="staff:7") is None


async def test_of_two_templates_with_a_name_one_is_made(documents: CertificateDocumentActivities) -> None:
    template_id = uuid4()

    async def made(name_of: UUID) -> CertificateTemplate | Refused:
        async with documents.sessions.begin() as session:
            return await create_template(session, name_of, "of-a-test", "Of a test", CANVAS, actor="staff:7")

    for _ in range(2):
        assert isinstance(await made(template_id), CertificateTemplate)
    refused = await made(uuid4())
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.TEMPLATE_INVALID


async def test_two_versions_at_once_are_two(documents: CertificateDocumentActivities) -> None:
    template_id = await template(documents.sessions, "classic")

    async def save(width: float) -> None:
        async with documents.sessions.begin() as session:
            canvas = CANVAS.model_copy(update={"width": width})
            await save_template(session, template_id, "classic", canvas, actor="staff:7")

    await asyncio.gather(*(save(width) for width in (900.0, 1000.0, 1100.0)))
    async with documents.sessions() as session:
        query = select(col(CertificateTemplateVersion.version)).where(
            col(CertificateTemplateVersion.template_id) == template_id
        )
        assert sorted((await session.execute(query)).scalars()) == [1, 2, 3, 4]


async def test_a_course_certifies_by_what_it_is_told_alone(documents: CertificateDocumentActivities) -> None:
    one, other = [await template(documents.sessions, name) for name in ("one", "other")]
    await certify(documents.sessions, "spanish-a1", AssignedTemplate(one), AssignedTemplate(other, 365, 30, "PLUS"))
    await certify(documents.sessions, "spanish-a1", AssignedTemplate(other, 90))
    async with documents.sessions() as session:
        query = select(CourseCertificate).where(col(CourseCertificate.course_id) == course("spanish-a1"))
        [assigned] = (await session.execute(query)).scalars()
    assert (assigned.template_id, assigned.valid_days, assigned.grace_days, assigned.series) == (other, 90, 0, "CERT")
    twice, unknown = [AssignedTemplate(one), AssignedTemplate(one)], [AssignedTemplate(uuid4())]
    too_long, too_kind = [AssignedTemplate(one, 36_501)], [AssignedTemplate(one, 365, 3_651)]
    async with documents.sessions.begin() as session:
        refused = [
            await assign_templates(session, course_id, wanted, actor="staff:7")
            for course_id, wanted in (
                (course("spanish-a1"), twice),
                (course("spanish-a1"), too_long),
                (course("spanish-a1"), too_kind),
                (course("spanish-a1"), unknown),
                (uuid4(), [AssignedTemplate(one)]),
            )
        ]
    assert [each and each.reason for each in refused] == [
        *[Reason.INVALID_REQUEST] * 3,
        Reason.NOT_FOUND,
        Reason.UNKNOWN_COURSE,
    ]
