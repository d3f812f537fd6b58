"""PostgreSQL: there, new enough, migrated, with the right time, and with an academy in it."""

from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from alembic.script import ScriptDirectory
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlmodel import col

import migrations
from doctor.examination import Patient, Result, ok, warning, wrong
from models.tables import Academy, TaskContact
from models.tables.columns import now
from models.vocabulary import TaskQueue

_OLDEST = 14
_DRIFT = timedelta(seconds=2)
# Tokens are forgiven five seconds, webhooks five minutes.
_WORST_DRIFT = timedelta(seconds=60)


async def database(patient: Patient) -> Result:
    """Whether DATABASE_URL leads to a PostgreSQL that lets us in."""
    try:
        async with patient.engine.connect() as connection:
            version = int((await connection.scalar(text("SHOW server_version_num"))) or 0) // 10_000
    except (SQLAlchemyError, OSError) as error:
        return wrong(
            f"cannot be reached ({_code(error)})", "Check host, port, user, password and name in DATABASE_URL."
        )
    if version < _OLDEST:
        return wrong(f"PostgreSQL {version}", f"Move to PostgreSQL {_OLDEST} or newer.")
    return ok(f"PostgreSQL {version}")


async def schema(patient: Patient) -> Result:
    """Whether all migrations of this release, and no others, are in the database."""
    [head] = ScriptDirectory(str(Path(migrations.__file__).parent)).get_heads()
    async with patient.engine.connect() as connection:
        if await connection.scalar(text("SELECT to_regclass('alembic_version')")) is None:
            return wrong("empty", "Run registrar migrate.")
        at = await connection.scalar(text("SELECT version_num FROM alembic_version"))
    if at != head:
        return wrong(f"at {at}, this release wants {head}", "Run registrar migrate of the newest release.")
    return ok(f"at {head}")


async def clock(patient: Patient) -> Result:
    """Whether this machine and the database agree on what time it is."""
    async with patient.engine.connect() as connection:
        before = now()
        theirs: datetime = (await connection.execute(text("SELECT clock_timestamp()"))).scalar_one()
        after = now()
    drift = max(before - theirs, theirs - after, timedelta())
    found = f"{drift.total_seconds():.1f} s apart"
    mend = "Let both machines keep time by NTP."
    if drift > _WORST_DRIFT:
        return wrong(found, mend)
    return warning(found, mend) if drift > _DRIFT else ok(found)


async def academy(patient: Patient) -> Result:
    """Whether there is the one row of the academy, with a time zone that exists."""
    async with patient.engine.connect() as connection:
        zone = await connection.scalar(select(col(Academy.time_zone)))
    if zone is None:
        return wrong("no academy", "Write the row of academies (docs/production.md), or run registrar academy load.")
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return wrong("its time zone does not exist", "Set academies.time_zone to an IANA zone, e.g. Europe/Berlin.")
    return ok(f"its day is that of {zone}")


async def task_contacts(patient: Patient) -> Result:
    """Whether somebody hears of tasks that wait too long."""
    async with patient.engine.connect() as connection:
        known = set(await connection.scalars(select(col(TaskContact.queue))))
    missing = sorted(queue.value for queue in TaskQueue if queue not in known)
    if missing:
        return warning(
            f"nobody is written to about late tasks of {', '.join(missing)}", "Add rows to task_contacts for them."
        )
    return ok("every queue has somebody to write to")


def _code(error: Exception) -> str:
    """PostgreSQL's code, or what kind of error it was; what it says may quote the password's user."""
    state = getattr(error.orig, "sqlstate", None) if isinstance(error, DBAPIError) else None
    return f"SQLSTATE {state}" if state else type(error).__name__
