"""The certificates of the sample academy: the templates that ship, the courses that certify, and confirmed names."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.certificate_samples import shipped_templates
from models.tables import CertificateTemplate, CertificateTemplateVersion, CourseCertificate, Person


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TemplateEntry(_Entry):
    """A template that ships, by the name of its file."""

    name: str
    title: str


class CertifiedEntry(_Entry):
    """That a course certifies."""

    course: str
    template: str
    valid_days: int | None = None
    grace_days: int = 0
    series: str = "CERT"


class LegalNameEntry(_Entry):
    """What somebody has confirmed to be called."""

    person: str
    name: str


class CertificateFiles(_Entry):
    """All of `certificates.toml`."""

    template: tuple[TemplateEntry, ...] = ()
    certified: tuple[CertifiedEntry, ...] = ()
    legal_name: tuple[LegalNameEntry, ...] = ()


async def load_certificates(
    session: AsyncSession,
    files: CertificateFiles,
    courses: Mapping[str, UUID],
    people: Mapping[str, UUID],
    templates: Mapping[str, UUID],
    moment: datetime,
) -> None:
    """Write what is not there. Templates, choices and names that are there stay as they are."""
    for each in files.template:
        await _keep(session, each, templates[each.name])
    known = select(col(CertificateTemplate.name), col(CertificateTemplate.id))
    kept: dict[str, UUID] = {row.name: row.id for row in await session.execute(known)}
    rows = [
        {
            "course_id": courses[each.course],
            "template_id": kept[each.template],
            **each.model_dump(include={"valid_days", "grace_days", "series"}),
        }
        for each in files.certified
    ]
    if rows:
        await session.execute(insert(CourseCertificate).values(rows).on_conflict_do_nothing())
    for name in files.legal_name:
        await session.execute(
            update(Person)
            .where(col(Person.id) == people[name.person], col(Person.legal_name_confirmed_at).is_(None))
            .values(legal_name=name.name, legal_name_confirmed_at=moment)
        )


async def _keep(session: AsyncSession, entry: TemplateEntry, template_id: UUID) -> None:
    template = CertificateTemplate(id=template_id, name=entry.name, title=entry.title)
    made = insert(CertificateTemplate).values(template.model_dump()).on_conflict_do_nothing()
    if (await session.execute(made.returning(col(CertificateTemplate.id)))).first() is not None:
        canvas = shipped_templates()[entry.name].model_dump(mode="json")
        session.add(CertificateTemplateVersion(template_id=template_id, version=1, canvas=canvas, created_by="system"))
        await session.flush()
