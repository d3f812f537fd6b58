"""What steps come to is counted on the worker's Prometheus page, in series that have an end."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, cast
from uuid import uuid4

import httpx
import pytest
import stripe
from prometheus_client.parser import text_string_to_metric_families
from temporalio.exceptions import ApplicationError
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from activities.step_counts import CountSteps
from activities.stripe_errors import as_failure
from models.messages.mail import MailReport
from models.vocabulary import MailStatus
from sandbox.ports import reserve

SECRET_WORDS = "Anna Karenina"
Page = tuple[ActivityEnvironment, str]


@pytest.fixture
def page() -> Iterator[Page]:
    """A step whose counts are served as the worker serves them."""
    reservation = reserve()
    port = reservation.port
    reservation.hand_over()
    runtime = Runtime(telemetry=TelemetryConfig(metrics=PrometheusConfig(bind_address=f"127.0.0.1:{port}")))
    environment = ActivityEnvironment()
    environment.metric_meter = runtime.metric_meter
    yield environment, f"http://127.0.0.1:{port}/metrics"
    reservation.release()


class Step(ActivityInboundInterceptor):
    """A step with this end."""

    def __init__(self, end: object) -> None:
        self._end = end

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - Temporal's name
        if isinstance(self._end, Exception):
            raise self._end
        return self._end


async def test_failures_errors_of_stripe_and_mails_are_counted(page: Page) -> None:
    environment, address = page
    counting = CountSteps()
    ends = (
        as_failure(stripe.AuthenticationError("no such key")),
        as_failure(stripe.AuthenticationError("no such key")),
        ApplicationError("the mail server answered 451", type="smtp_451"),
        ApplicationError("?", type=SECRET_WORDS),
        MailReport(mail_id=uuid4(), status=MailStatus.SENT),
        *(ApplicationError("?", type=f"Kind{number}") for number in range(200)),
    )
    for end in ends:
        step = counting.intercept_activity(Step(end))
        with suppress(ApplicationError):
            await environment.run(step.execute_activity, cast(ExecuteActivityInput, None))
    async with httpx.AsyncClient() as scraper:
        text = (await scraper.get(address)).text
    counts = {
        (family.name, sample.labels.get("error") or sample.labels.get("type") or sample.labels.get("status")): sample
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if family.name.startswith("registrar_")
    }
    assert counts["registrar_stripe_errors", "stripe_key_refused"].value == 2
    assert counts["registrar_stripe_errors", "stripe_key_refused"].labels["audience"] == "operator"
    assert counts["registrar_activity_failures", "stripe_key_refused"].value == 2
    assert counts["registrar_activity_failures", "smtp_451"].value == 1
    assert counts["registrar_mail_results", "sent"].value == 1
    assert counts["registrar_activity_failures", "other"].value == 1 + 200 - 98
    assert {sample.name for sample in counts.values()} == {
        "registrar_activity_failures_total",
        "registrar_stripe_errors_total",
        "registrar_mail_results_total",
    }
    assert "Anna" not in text
