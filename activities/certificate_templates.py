"""Templates of certificates: kept version by version, and said to be those of a course."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import delete, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.audit import StateChange, write_audit
from models.canvas import Canvas
from models.errors import Reason
from models.messages.certificates import MAX_TEMPLATES
from models.tables import CertificateTemplate, CertificateTemplateVersion, Course, CourseCertificate
from models.tables.certificates import MAX_GRACE_DAYS, MAX_VALID_DAYS
from models.tables.columns import now
from rules.decision import Refused

_TEMPLATE = "certificate_template"


@dataclass(frozen=True)
class AssignedTemplate:
    """A template by which a course certifies; without `valid_days` its certificates never expire. At most 36,500 days
    (`MAX_VALID_DAYS`), and 3,650 of grace."""

    template_id: UUID
    valid_days: int | None = None
    grace_days: int = 0
    series: str = "CERT"


async def create_template(
    session: AsyncSession, template_id: UUID, name: str, title: str, canvas: Canvas, *, actor: str
) -> CertificateTemplate | Refused:
    """Keep a new template with its first version; the same id again is the same template.

    Refused with `template_invalid` if another one has the name, and with `idempotency_key_reused` if the one with the
    id was another one when it was new.
    """
    moment = now()
    made = (
        upsert(CertificateTemplate)
        .values(id=template_id, created_at=moment, updated_at=moment, name=name, title=title, version=1)
        .on_conflict_do_nothing()
        .returning(col(CertificateTemplate.id))
    )
    if (await session.execute(made)).first() is None:
        known = await session.get(CertificateTemplate, template_id)
        if known is None:
            return Refused(Reason.TEMPLATE_INVALID, "name: another template has this name")
        first = await session.get_one(CertificateTemplateVersion, (template_id, 1))
        is_titled_so = known.title == title or known.updated_at > known.created_at
        if known.name != name or first.canvas != _stored(canvas) or not is_titled_so:
            return Refused(Reason.IDEMPOTENCY_KEY_REUSED, "This Idempotency-Key was used with another template.")
        return known
    await _keep(session, template_id, 1, canvas, actor)
    return await session.get_one(CertificateTemplate, template_id)


async def save_template(
    session: AsyncSession, template_id: UUID, title: str, canvas: Canvas, *, actor: str
) -> CertificateTemplate | None:
    """Keep another version, and use it from now on; none if there is no such template.

    What was issued before is printed by the version it was issued with. The same canvas as the latest is no version.
    """
    template = await session.get(
        CertificateTemplate, template_id, with_for_update={"key_share": True}, populate_existing=True
    )
    if template is None:
        return None
    latest = await session.get_one(CertificateTemplateVersion, (template_id, template.version))
    if latest.canvas != _stored(canvas):
        template.version += 1
        await _keep(session, template_id, template.version, canvas, actor)
    if template.title != title or latest.version != template.version:
        template.title, template.updated_at = title, now()
    await session.flush()
    return template


async def canvas_of(session: AsyncSession, template_id: UUID, version: int | None = None) -> Canvas | None:
    """The canvas of a version, of the latest unless said otherwise; none if there is none."""
    query = (
        select(col(CertificateTemplateVersion.canvas))
        .join(CertificateTemplate, col(CertificateTemplate.id) == col(CertificateTemplateVersion.template_id))
        .where(
            col(CertificateTemplate.id) == template_id,
            col(CertificateTemplateVersion.version)
            == (col(CertificateTemplate.version) if version is None else version),
        )
    )
    found = (await session.execute(query)).scalar_one_or_none()
    return None if found is None else Canvas.model_validate(found)


async def assign_templates(
    session: AsyncSession, course_id: UUID, assigned: Sequence[AssignedTemplate], *, actor: str
) -> Refused | None:
    """From now on the course certifies by these, and by no others; what is issued stays as it is.

    Refused with `unknown_course`, `not_found` (a template), and `invalid_request` (one twice, more than ten, or one
    that is valid for longer than the record takes).
    """
    wanted = {each.template_id: each for each in assigned}
    if len(wanted) < len(assigned) or len(assigned) > MAX_TEMPLATES:
        return Refused(Reason.INVALID_REQUEST, f"A course has each template once, and at most {MAX_TEMPLATES}.")
    if any((each.valid_days or 0) > MAX_VALID_DAYS or each.grace_days > MAX_GRACE_DAYS for each in assigned):
        detail = f"Certificates are valid for at most {MAX_VALID_DAYS} days, with {MAX_GRACE_DAYS} of grace."
        return Refused(Reason.INVALID_REQUEST, detail)
    course = await session.get(Course, course_id, with_for_update={"key_share": True})
    if course is None:
        return Refused(Reason.UNKNOWN_COURSE, "There is no such course.")
    query = select(col(CertificateTemplate.id)).where(col(CertificateTemplate.id).in_(wanted))
    if len((await session.execute(query)).all()) < len(wanted):
        return Refused(Reason.NOT_FOUND, "There is no such template.")
    await session.execute(delete(CourseCertificate).where(col(CourseCertificate.course_id) == course_id))
    if wanted:
        rows = [
            {
                "course_id": course_id,
                "template_id": each.template_id,
                "valid_days": each.valid_days,
                "grace_days": each.grace_days,
                "series": each.series,
            }
            for each in assigned
        ]
        await session.execute(insert(CourseCertificate).values(rows))
    change = StateChange("course", course_id, None, "certified" if wanted else "not_certified")
    await write_audit(session, [change], actor=actor, reason="certificate templates", workflow_id=None)
    return None


async def _keep(session: AsyncSession, template_id: UUID, version: int, canvas: Canvas, actor: str) -> None:
    session.add(
        CertificateTemplateVersion(
            template_id=template_id, version=version, canvas=_stored(canvas), created_by=actor[:80]
        )
    )
    before = None if version == 1 else f"version {version - 1}"
    change = StateChange(_TEMPLATE, template_id, before, f"version {version}")
    await session.flush()
    await write_audit(session, [change], actor=actor, reason="template saved", workflow_id=None)


def _stored(canvas: Canvas) -> dict[str, object]:
    return canvas.model_dump(mode="json")
