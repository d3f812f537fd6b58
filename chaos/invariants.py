"""What holds of a whole installation at rest, however it came there: over the record, Stripe, Temporal and the mailbox.

Each invariant is a query that answers what breaks it. `tests/integration/test_invariants.py` breaks every one.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import literal
from temporalio.client import Client

from activities.critical_papers import Span, missing_mails, missing_papers
from activities.database import Sessions
from activities.finance_report import read_finance
from activities.kept_places import kept_places
from chaos.job_checks import JOBS, LEFT_BEHIND
from chaos.money_checks import MONEY
from chaos.outside import Outside, lay_beside, look_outside
from chaos.paper_checks import MAILBOX, PAPERS
from chaos.place_checks import PLACES
from models.messages.exports import ExportFilters, RenderReport
from models.vocabulary import ExportFormat, ExportReport
from sandbox.stripe_double import StripeDoubleControl

Broken = tuple[str, str]
"""The id that a sentence is about, and the sentence."""
Check = Callable[[AsyncSession], Awaitable[Sequence[Broken]]]

_EVER = Span(datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC))


async def _asked(query: str, session: AsyncSession) -> Sequence[Broken]:
    rows: Sequence[Any] = (await (await session.connection()).exec_driver_sql(query)).all()
    return [(str(about), str(sentence)) for about, sentence in rows]


async def _places_outlive_their_money(session: AsyncSession) -> Sequence[Broken]:
    rows = (await session.execute(kept_places(literal(True)))).all()
    return [(str(row[1]), f"Place {row[0]} of order {row[1]} gives access, and its money is back.") for row in rows]


async def _papers_are_missing(session: AsyncSession) -> Sequence[Broken]:
    missing = await missing_papers(session, _EVER)
    return [(each.job_id, f"The {each.what} {each.subject_id} has no file.") for each in missing]


async def _mails_are_missing(session: AsyncSession) -> Sequence[Broken]:
    missing = await missing_mails(session, _EVER)
    return [
        (each.job_id, f"The mail {each.mail.template} about {each.mail.subject_id} was never begun.")
        for each in missing
    ]


async def _books_do_not_tie(session: AsyncSession) -> Sequence[Broken]:
    asked = RenderReport(
        export_id=uuid4(),
        report=ExportReport.FINANCE,
        format=ExportFormat.PDF,
        filters=ExportFilters(),
        moment=datetime.now(UTC),
    )
    report = await read_finance(session, asked)
    return [
        (told.currency, f"In {told.currency} all movements come to {told.tie.by_movements}, the record to"
         f" {told.tie.by_record}.")
        for told in report.currencies
        if told.tie.difference
    ]  # fmt: skip


CHECKS: Mapping[str, Check] = {
    **{name: partial(_asked, query) for name, query in {**MONEY, **PLACES, **PAPERS, **JOBS, **LEFT_BEHIND}.items()},
    "no place outlives its money": _places_outlive_their_money,
    "no paper is missing": _papers_are_missing,
    "no mail is missing": _mails_are_missing,
    "the finance report ties to the record": _books_do_not_tie,
}
MAILBOX_CHECKS: Mapping[str, Check] = {name: partial(_asked, query) for name, query in MAILBOX.items()}

_ON_DESKS = """
    SELECT subject_id::text, job_id FROM findings WHERE status IN ('open', 'accepted')
    UNION ALL SELECT subject_id::text, workflow_id FROM human_tasks WHERE status = 'open'"""


async def what_is_wrong(
    sessions: Sessions,
    control: StripeDoubleControl,
    temporal: Client,
    *,
    terminated: frozenset[str] = frozenset(),
    since: datetime | None = None,
    message_ids: Iterable[str] | None = None,
) -> list[str]:
    """A sentence for every broken invariant of an installation at rest; they name rows by their ids alone.

    `terminated` are the workflow ids of jobs that were ended on purpose: they need not have come to their end, and of
    what they were about it is enough that a person has it on the desk. Jobs that began before `since` (UTC) are none
    of this installation's. `message_ids` are those of all mails in the mailbox; without them it is not looked into.
    """
    outside = await look_outside(control, temporal, terminated=terminated, since=since, message_ids=message_ids)
    return [sentence for sentences in (await by_invariant(sessions, outside)).values() for sentence in sentences]


async def by_invariant(sessions: Sessions, outside: Outside) -> dict[str, list[str]]:
    """The sentences of each invariant, by its name; none of one that holds."""
    checks = {**CHECKS, **(MAILBOX_CHECKS if outside.knows_mails else {})}
    ended = {str(job["workflow_id"]) for job in outside.jobs if job["on_purpose"]}
    async with sessions() as session:
        await lay_beside(session, outside)
        excused = await _excused(session, ended)
        found = {}
        for name, check in checks.items():
            found[name] = [sentence for about, sentence in await check(session) if not _is_one_of(about, excused)]
        await session.rollback()
    return found


async def _excused(session: AsyncSession, ended: set[str]) -> set[str]:
    """What jobs that were ended on purpose were about, as far as it is on somebody's desk."""
    if not ended:
        return set()
    about = {_subject(job) for job in ended}
    on_desks = set()
    for subject, job in await session.execute(text(_ON_DESKS)):
        on_desks |= {subject, _subject(job or "")}
    return about & on_desks


def _is_one_of(about: str, excused: set[str]) -> bool:
    return about in excused or _subject(about) in excused


def _subject(workflow_id: str) -> str:
    """What a job is about: the id that its own ends with."""
    try:
        return str(UUID(workflow_id[-36:]))
    except ValueError:
        return workflow_id
