"""The doctor finds what is wrong, says how to mend it, and tells no secret."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import stripe
from sqlalchemy import delete, text, update
from temporalio.client import (
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleSpec,
    ScheduleState,
)
from temporalio.common import SearchAttributeKey

from activities.database import open_database
from activities.stripe import open_stripe
from doctor import database, examination, outside, temporal
from doctor.checks import CHECKS
from doctor.examination import Health, Patient, Result, examine, is_well
from doctor.report import as_json, as_sentence, as_table
from models import search
from models.tables import Academy, TaskContact
from models.tables.columns import now
from sandbox.postgres import EmbeddedPostgres
from settings import Settings
from tests.eventually import eventually
from tests.fresh_record import empty_record
from tests.installation import Installation

_LIVE = {"stripe_api_key": "sk_live_51", "stripe_publishable_key": "pk_live_51"}


def changed(settings: Settings, **values: object) -> Settings:
    return Settings.model_validate({**settings.model_dump(), **values})


async def seen(name: str, settings: Settings, *schedules: str) -> tuple[Health, str]:
    """How this check finds the installation with these settings. Whatever is not in order can be mended."""
    [diagnosis] = await examine(Patient(settings, frozenset(schedules)), {name: CHECKS[name]})
    assert (diagnosis.mend is None) is (diagnosis.health is Health.OK)
    return diagnosis.health, diagnosis.found


async def test_an_installation_that_works_is_well(installation: Installation) -> None:
    diagnoses = await examine(Patient(installation.settings), CHECKS)
    assert [diagnosis for diagnosis in diagnoses if diagnosis.health is Health.WRONG] == []
    assert is_well(diagnoses)
    # What suits a sandbox alone is told all the same.
    assert {diagnosis.check for diagnosis in diagnoses if diagnosis.health is Health.WARNING} == {
        "namespace",
        "mail sender",
        "public address",
        "pages",
    }
    health, found = await seen("build", changed(installation.settings, worker_build_id="another"))
    assert (health, found) == (
        Health.WARNING,
        f"new jobs go to {installation.settings.worker_build_id}, WORKER_BUILD_ID is another",
    )


async def test_settings_that_cannot_work(idle_installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "_CONNECT_SECONDS", 0.1)
    settings = idle_installation.settings
    nowhere = "127.0.0.1:1"
    tokens = settings.jwt_secret
    for name, values, wanted, found in (
        ("database", {"database_url": f"postgresql+asyncpg://me:secret@{nowhere}/x"}, "wrong", "cannot be reached"),
        ("Temporal", {"temporal_address": nowhere}, "wrong", f"cannot be reached at {nowhere}"),
        ("namespace", {"temporal_address": nowhere}, "wrong", "not checked, since Temporal cannot be reached"),
        ("search attributes", {"temporal_address": nowhere}, "wrong", "not checked"),
        ("workers", {"temporal_address": nowhere}, "wrong", "not checked"),
        ("build", {"temporal_address": nowhere}, "wrong", "not checked"),
        ("schedules", {"temporal_address": nowhere}, "wrong", "not checked"),
        ("namespace", {"temporal_namespace": "nowhere"}, "wrong", "nowhere does not exist"),
        ("Stripe key", {"stripe_api_key": "sk_test_wrong"}, "wrong", "Stripe refuses the key"),
        ("Stripe key", {"stripe_api_base": f"http://{nowhere}"}, "wrong", "does not answer (stripe_unreachable)"),
        (
            "Stripe modes",
            {"stripe_publishable_key": "pk_live_1"},
            "wrong",
            "STRIPE_PUBLISHABLE_KEY of live",
        ),
        ("Stripe modes", _LIVE, "wrong", "another address than Stripe's"),
        ("Stripe webhooks", {"public_url": "https://other.test"}, "wrong", "no endpoint for https://other.test/v1/web"),
        ("Stripe webhooks", {"stripe_api_key": "sk_test_wrong"}, "wrong", "not checked (stripe_key_refused)"),
        ("webhook secrets", {"stripe_webhook_secrets": "nonsense"}, "wrong", "1 of 1 do not begin"),
        ("webhook secrets", {"stripe_webhook_secrets": ""}, "wrong", "none"),
        ("webhook secrets", {"stripe_webhook_secrets": "whsec_1,whsec_2"}, "warning", "2 are valid"),
        ("Stripe account", {"stripe_account_is_shared": True}, "ok", "shared"),
        ("mail server", {"smtp_url": f"smtp://{nowhere}"}, "wrong", "cannot be used"),
        ("mail server", {"smtp_url": "http://mail"}, "wrong", "cannot be read"),
        (
            "mail server",
            {"smtp_url": idle_installation.mailbox.smtp_url.replace("://", "://me:secret@")},
            "wrong",
            "cannot be used (SMTPException)",
        ),
        ("mail sender", {"mail_from": "nonsense"}, "wrong", "no address"),
        ("mail sender", _LIVE, "wrong", "MAIL_FROM has registrar.test"),
        ("mail sender", {"mail_from": "A <a@academy.io>"}, "warning", "MAIL_DOMAIN has registrar.test"),
        ("mail sender", {"mail_from": "A <a@academy.io>", "mail_domain": "academy.io"}, "ok", "from academy.io"),
        ("files", {"files_url": "file:///proc/nothing/here"}, "wrong", "cannot be used"),
        ("files", {"files_url": "nonsense://x"}, "wrong", "cannot be used"),
        ("learning platform", {"provisioning_url": "https://p", "provisioning_secret": "a"}, "wrong", "cannot sign"),
        (
            "learning platform",
            {"provisioning_url": "p", "provisioning_secret": "whsec_YWJj"},
            "wrong",
            "no web address",
        ),
        (
            "learning platform",
            {"provisioning_url": "https://p", "provisioning_secret": "whsec_YWJj"},
            "ok",
            "p is told, signed",
        ),
        ("access tokens", {"jwt_secret": None}, "wrong", "neither"),
        ("access tokens", {"jwt_jwks_url": f"http://{nowhere}/keys"}, "wrong", "gives no keys (ConnectError)"),
        ("access tokens", {"jwt_jwks_url": f"{settings.public_url}/health/live"}, "wrong", "gives no keys"),
        ("link secret", {"link_secret": None}, "warning", "LINK_SECRET is not set"),
        ("link secret", {"link_secret": tokens}, "wrong", "LINK_SECRET is the JWT_SECRET"),
        ("public address", {"public_url": "here"}, "wrong", "no web address"),
        ("public address", _LIVE, "wrong", "not encrypted"),
        ("public address", {"public_url": "https://a.io"}, "ok", "https://a.io"),
        ("pages", {"order_page_url": "https://a.io/{lesson_id}"}, "wrong", "no placeholder in ORDER_PAGE_URL"),
        ("left as delivered", _LIVE, "wrong", "still as in the sandbox: TEMPORAL_UI_URL, MAIL_FROM, MAIL_DOMAIN"),
    ):
        health, told = await seen(name, changed(settings, **values))
        assert (health, found in told) == (wanted, True), f"{name}: {health} {told}"


async def test_a_database_that_is_not_ready(
    idle_installation: Installation,
    postgres: EmbeddedPostgres,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = idle_installation.settings
    gone = changed(settings, database_url=postgres.url("nowhere"))
    assert await seen("database", gone) == (Health.WRONG, "cannot be reached (SQLSTATE 3D000)")
    postgres.ensure_database("examined")
    other = changed(settings, database_url=postgres.url("examined"))
    assert await seen("schema", other) == (Health.WRONG, "empty")
    engine = open_database(postgres.url("examined"), 1)
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE alembic_version AS SELECT '0001' AS version_num"))
    await engine.dispose()
    health, found = await seen("schema", other)
    assert health is Health.WRONG
    assert found.startswith("at 0001, this release wants ")
    for ahead, wanted in ((10, Health.WARNING), (-10, Health.WARNING), (120, Health.WRONG)):
        monkeypatch.setattr(database, "now", lambda ahead=ahead: now() + timedelta(seconds=ahead))
        assert (await seen("clock", settings))[0] is wanted
    monkeypatch.setattr(database, "_OLDEST", 99)
    assert (await seen("database", settings))[0] is Health.WRONG

    async with idle_installation.sessions.begin() as session:
        await session.execute(delete(TaskContact))
        await session.execute(update(Academy).values(time_zone="Mars/Olympus"))
    assert (await seen("task contacts", settings))[0] is Health.WARNING
    assert await seen("academy", settings) == (Health.WRONG, "its time zone does not exist")
    await empty_record(idle_installation.sessions)
    assert await seen("academy", settings) == (Health.WRONG, "no academy")


@pytest.fixture
async def paused_schedule(idle_installation: Installation) -> AsyncIterator[str]:
    """A schedule that somebody has paused."""
    handle = await idle_installation.temporal.create_schedule(
        "examined",
        Schedule(
            action=ScheduleActionStartWorkflow("Nothing", id="examined", task_queue="nobody"),
            spec=ScheduleSpec(),
            state=ScheduleState(paused=True),
        ),
    )
    yield "examined"
    await handle.delete()


async def test_a_temporal_that_is_not_ready(
    idle_installation: Installation, paused_schedule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = idle_installation.settings
    assert await seen("schedules", settings, "nothing") == (Health.WRONG, "missing: nothing")

    async def is_listed() -> bool:
        return await seen("schedules", settings, paused_schedule) == (Health.WARNING, "paused: examined")

    # The list follows what was created after a moment.
    await eventually(is_listed)
    monkeypatch.setattr(search, "ALL", (*search.ALL, SearchAttributeKey.for_keyword("RegistrarNothing")))
    assert await seen("search attributes", settings) == (Health.WRONG, "missing: RegistrarNothing")
    monkeypatch.setattr(search, "ALL", (SearchAttributeKey.for_bool("RegistrarJob"),))
    assert await seen("search attributes", settings) == (Health.WRONG, "of another type: RegistrarJob is KEYWORD")
    monkeypatch.setattr(temporal, "REGISTRAR_QUEUE", "nobody-here")
    health, found_workers = await seen("workers", settings)
    assert health is Health.WRONG
    assert found_workers.startswith("nobody polls for workflows of nobody-here, activities of nobody-here")
    monkeypatch.setattr(temporal, "DEPLOYMENT", "nobody-here")
    assert await seen("build", settings) == (Health.WRONG, "no build is promoted, so no job starts")


async def test_a_stripe_account_that_is_not_ready(idle_installation: Installation) -> None:
    settings = idle_installation.settings
    client = open_stripe(settings.stripe_api_key.get_secret_value(), settings.stripe_api_base)
    await client.v1.payment_intents.create_async(
        {"amount": 100, "currency": "eur", "payment_method": "pm_card_visa", "confirm": True, "return_url": "https://a"}
    )
    assert await seen("Stripe account", settings) == (Health.WARNING, "1 of the last 1 payments name no order")

    async def is_asked_about() -> bool:
        asked = 'WorkflowType = "UnmatchedPaymentWorkflow" AND ExecutionStatus = "Running"'
        return (await idle_installation.temporal.count_workflows(asked)).count == 1

    # Stripe tells of it, and the job that this starts must not outlive the test.
    await eventually(is_asked_about)
    elsewhere = changed(settings, public_url="https://examined.test/")
    endpoint = {"url": "https://examined.test/v1/webhooks/stripe", "enabled_events": ["refund.created"]}
    made = [await client.v1.webhook_endpoints.create_async(endpoint)]  # type: ignore[arg-type]
    try:
        health, found = await seen("Stripe webhooks", elsewhere)
        assert health is Health.WRONG
        assert found.startswith("does not send charge.dispute.closed, ")
        assert "refund.created" not in found
        await client.v1.webhook_endpoints.update_async(made[0].id, {"disabled": True})
        assert await seen("Stripe webhooks", elsewhere) == (Health.WRONG, "the endpoint is disabled")
        made.append(await client.v1.webhook_endpoints.create_async(endpoint))  # type: ignore[arg-type]
        assert (await seen("Stripe webhooks", elsewhere))[0] is Health.WARNING
    finally:
        for each in made:
            await client.v1.webhook_endpoints.delete_async(each.id)


async def test_documents_that_could_not_be_set(
    shared_installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outside, "_LETTERS", "a\U000e0fff")
    assert (await seen("fonts", shared_installation.settings))[0] is Health.WRONG


async def test_one_check_stops_no_other_and_no_secret_is_told(
    shared_installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examination, "_CONNECT_SECONDS", 0.1)
    secrets = ("sk_test_hidden", "whsec_hidden", "hidden-password", "hidden" * 10, "shown" * 10)
    settings = changed(
        shared_installation.settings,
        stripe_api_key=secrets[0],
        stripe_webhook_secrets=secrets[1],
        smtp_url=f"smtp://me:{secrets[2]}@127.0.0.1:1",
        database_url=f"postgresql+asyncpg://me:{secrets[2]}@127.0.0.1:1/x",
        jwt_secret=secrets[3],
        link_secret=secrets[4],
    )

    async def fails(patient: Patient) -> Result:
        raise ValueError(patient.settings.smtp_url.get_secret_value())

    async def hangs(_patient: Patient) -> Result:
        await asyncio.Event().wait()
        raise AssertionError

    async def times_out(_patient: Patient) -> Result:
        raise stripe.APIConnectionError(secrets[0]) from TimeoutError()

    more = {"fails": fails, "hangs": hangs, "times out": times_out}
    diagnoses = await examine(Patient(settings, frozenset({"nothing"})), {**CHECKS, **more}, patience=3)
    told = {diagnosis.check: diagnosis for diagnosis in diagnoses}
    assert told.keys() == {*CHECKS, *more}
    assert told["hangs"].found == "no answer within 3 seconds"
    assert told["fails"].found.startswith("could not be checked: ValueError at test_doctor.py:")
    assert told["fonts"].health is Health.OK
    assert not is_well(diagnoses)
    table = as_table(diagnoses)
    shown = as_json(diagnoses) + str([list(column.cells) for column in table.columns]) + as_sentence(diagnoses)
    assert [secret for secret in secrets if secret in shown] == []
    assert json.loads(as_json(diagnoses))["well"] is False
    assert table.row_count == len(diagnoses)
