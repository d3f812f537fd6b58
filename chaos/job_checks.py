"""Jobs: nobody is stuck, nothing is left behind by a job that is over, and every question has somebody who waits."""

from collections.abc import Mapping

from sqlalchemy import String, cast, column, exists, func, literal, select, table
from sqlalchemy.dialects.postgresql.base import PGDialect

from activities.unfinished import BUSINESS, Business
from rules.jobs import WEDGED_ATTEMPTS

# A paid order is only unfinished business for a job that was to take it back; a finding is a report, not a state;
# access goes on without a job that has nothing more to open.
_NOT_BY_STATE = frozenset({"OrderCancellationWorkflow", "FindingWorkflow", "DripWorkflow"})
_DESK = """EXISTS (SELECT FROM findings f WHERE f.job_id = {job} AND f.status IN ('open', 'accepted'))"""

JOBS: dict[str, str] = {
    "no job has broken": """
        SELECT workflow_id, format('Job %s is %s.', workflow_id, status) FROM jobs
        WHERE status IN ('failed', 'terminated', 'timed_out') AND NOT on_purpose""",
    "no job is wedged": f"""
        SELECT workflow_id, format('Job %s cannot go on: its task was tried %s times.', workflow_id, task_attempts)
        FROM jobs WHERE is_open AND task_attempts >= {WEDGED_ATTEMPTS}""",
    "no step of a job fails": """
        SELECT workflow_id, format('Job %s: %s.', workflow_id, failing) FROM jobs WHERE is_open AND failing IS NOT NULL""",
    "every open question has a job that waits for it": f"""
        SELECT t.workflow_id, format('Task %s (%s) is open, and its job %s is %s.', t.id, t.kind, t.workflow_id,
            coalesce(j.status, 'unknown'))
        FROM human_tasks t LEFT JOIN jobs j ON j.workflow_id = t.workflow_id
        WHERE t.status = 'open' AND NOT coalesce(j.is_open, false)
            AND NOT (coalesce(j.on_purpose, false) AND {_DESK.format(job="t.workflow_id")})""",
    "no hold is past its time": """
        SELECT o.id, format('Order %s is open, and its hold ended at %s.', o.id, o.hold_expires_at)
        FROM orders o WHERE o.status = 'pending_payment' AND o.hold_lapsed_at IS NULL
            AND o.hold_expires_at < now() - interval '10 minutes'
            AND NOT EXISTS (SELECT FROM human_tasks t WHERE t.workflow_id = 'order-' || o.id AND t.status = 'open')""",
    "every event of Stripe was passed on": """
        SELECT event_id, format('Event %s (%s) was taken, and not passed on.', event_id, type)
        FROM stripe_events WHERE status = 'received'""",
    "no place waits for a job that should have looked": """
        SELECT id, format('Place %s should have been looked at by %s.', id, coalesce(wakes_at, enrolled_at))
        FROM enrollments WHERE (wakes_at < now() - interval '10 minutes')
            OR (planned_at IS NULL AND status IN ('active', 'completed') AND enrolled_at < now() - interval '10 minutes')""",
    "no certificate waits for a job that should have looked": """
        SELECT enrollment_id, format('Certificate %s should have been looked at by %s.', id, wakes_at)
        FROM certificates WHERE wakes_at < now() - interval '10 minutes'""",
    "no step was written down without its audit entry": """
        WITH last AS (
            SELECT DISTINCT ON (subject_kind, subject_id) subject_kind, subject_id, to_state FROM audit_log
            WHERE subject_kind IN ('order', 'refund', 'enrollment', 'mail')
            ORDER BY subject_kind, subject_id, created_at DESC, id DESC),
        rows AS (
            SELECT 'order' AS kind, id, status FROM orders UNION ALL SELECT 'refund', id, status FROM refunds
            UNION ALL SELECT 'enrollment', id, status FROM enrollments UNION ALL SELECT 'mail', id, status FROM mails)
        SELECT r.id, format('The %s %s is %s, and the audit log has it last as %s.', r.kind, r.id, r.status,
            coalesce(l.to_state, 'unknown'))
        FROM rows r LEFT JOIN last l ON l.subject_kind = r.kind AND l.subject_id = r.id
        WHERE l.to_state IS DISTINCT FROM r.status""",
}


def _left_behind(job_type: str, business: Business) -> str:
    """Rows of a kind that are not over while no job works on them and nobody was told: as a query of the same form."""
    key = cast(business.key, String)
    jobs = table("jobs", column("workflow_id", String), column("type"), column("is_open"))
    findings = table("findings", column("job_id", String), column("status"))
    before = business.before
    is_it = jobs.c.workflow_id == literal(before).concat(key) if before else func.right(jobs.c.workflow_id, 36) == key
    is_told = findings.c.job_id == literal(before).concat(key) if before else func.right(findings.c.job_id, 36) == key
    query = select(
        key,
        func.format(
            literal(f"{job_type.removesuffix('Workflow')} of %s is %s, and no job works on it."),
            key,
            business.status,
        ),
    ).where(
        business.key.is_not(None),
        business.is_unfinished,
        ~exists().where(jobs.c.type == job_type, jobs.c.is_open, is_it),
        ~exists().where(is_told, findings.c.status.in_(("open", "accepted"))),
    )
    dialect = PGDialect()  # type: ignore[no-untyped-call]
    compiled = query.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    return str(compiled).replace("%%", "%")


LEFT_BEHIND: Mapping[str, str] = {
    f"nothing is left behind by {job_type}": _left_behind(job_type, business)
    for job_type, business in BUSINESS.items()
    if job_type not in _NOT_BY_STATE
}
