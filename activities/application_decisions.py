"""Writing down what a reviewer decided of an application, on the grounds of which documents."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.application_record import APPLICATION, ApplicationFacts, application_facts, move, stop_clock, taken_up
from activities.audit import StateChange, write_audit
from models.errors import Reason, refusal
from models.messages.applications import RecordDecision, RecordedDecision
from models.tables import ApplicationDecision, ApplicationDocument, TutorApplication
from models.tables.columns import now
from models.vocabulary import ApplicationStatus, DocumentVerdict, TaskAction
from rules.tutor_application import (
    INFO_DUE_AFTER,
    MAX_INFO_ROUNDS,
    WITH_REVIEWERS,
    erase_at,
    is_override,
    reapply_at,
)


async def write_decision(session: AsyncSession, step: RecordDecision) -> RecordedDecision:
    """Write the decision and the state that follows; how the application stands afterwards.

    Raises `refusal` `not_found`, and `too_many_info_rounds`.
    """
    found = await application_facts(session, step.application_id, for_update=True)
    if found is None:
        raise refusal(Reason.NOT_FOUND, "There is no such application.")
    application = found.application
    known = await session.get(ApplicationDecision, step.task_id)
    if known is not None:
        return how_it_stands(application, is_override=known.is_override)
    if application.status not in WITH_REVIEWERS:
        return how_it_stands(application)
    moment = now()
    decision = await _decision(session, step, found, moment)
    session.add(decision)
    changes = taken_up(application, moment)
    # That something was decided is told, also where nothing follows at once.
    told = StateChange(APPLICATION, application.id, application.status, application.status)
    if step.outcome is not None and step.outcome != application.status:
        told = await _follow(session, application, step.outcome, moment)
    reason = f"{'second opinion: ' if step.seconds is not None else ''}{step.action}"
    await write_audit(session, [*changes, told], actor=step.actor, reason=reason, workflow_id=step.workflow_id)
    return how_it_stands(application, is_override=decision.is_override)


async def still_stands(session: AsyncSession, application_id: UUID, decision_id: UUID) -> bool:
    """Whether every document that is rejected now was so, for the same reason, when another reviewer agreed."""
    found = await application_facts(session, application_id)
    if found is None:
        return False
    rejected = _rejected(_snapshot(found.documents))
    agreed = select(col(ApplicationDecision.documents)).where(
        col(ApplicationDecision.seconds) == decision_id, col(ApplicationDecision.action) == TaskAction.APPROVE
    )
    for documents in (await session.execute(agreed)).scalars():
        rejected -= _rejected(documents)
    return not rejected


def how_it_stands(application: TutorApplication, *, is_override: bool = False) -> RecordedDecision:
    """What follows from the application as it is."""
    return RecordedDecision(
        status=application.status,
        is_override=is_override,
        round=application.rounds,
        info_due_at=application.info_due_at,
        erase_at=application.erase_at,
    )


async def _decision(
    session: AsyncSession, step: RecordDecision, found: ApplicationFacts, moment: datetime
) -> ApplicationDecision:
    overrides = is_override(step.action, found.shown)
    if step.seconds is not None:
        first = await session.get_one(ApplicationDecision, step.seconds)
        overrides = first.is_override and step.action is TaskAction.APPROVE
    return ApplicationDecision(
        id=step.task_id,
        created_at=moment,
        application_id=found.application.id,
        action=step.action,
        reasons=list(step.reasons),
        decided_by=step.actor,
        seconds=step.seconds,
        is_override=overrides,
        documents=_snapshot(found.documents),
    )


def _snapshot(documents: Sequence[ApplicationDocument]) -> list[dict[str, object]]:
    return [
        {
            "id": str(document.id),
            "kind": str(document.kind),
            "subject": document.subject,
            "version": document.version,
            "sha256": document.sha256,
            "verdict": document.verdict,
            "reason": document.verdict_reason,
        }
        for document in documents
    ]


def _rejected(documents: Sequence[Mapping[str, object]]) -> set[tuple[object, object]]:
    return {(each["id"], each["reason"]) for each in documents if each["verdict"] == DocumentVerdict.REJECTED}


async def _follow(
    session: AsyncSession, application: TutorApplication, outcome: ApplicationStatus, moment: datetime
) -> StateChange:
    """What the state that follows brings with it: the clock stands still, and the next moments are pinned."""
    await stop_clock(session, application, moment)
    if outcome is ApplicationStatus.INFO_REQUESTED:
        if application.rounds >= MAX_INFO_ROUNDS:
            raise refusal(Reason.TOO_MANY_INFO_ROUNDS, f"Information was asked for {MAX_INFO_ROUNDS} times.")
        if application.status == ApplicationStatus.INACTIVE:
            application.clock_used_seconds = 0
        application.rounds += 1
        application.info_due_at = moment + INFO_DUE_AFTER
    else:
        application.decided_at = moment
        application.reapply_at = reapply_at(outcome, moment)
        application.erase_at = erase_at(outcome, moment, was_sent=True)
    return move(application, outcome, moment)
