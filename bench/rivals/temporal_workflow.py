"""The five steps as a Temporal workflow with nothing else in it: no update, no wait, no search attributes."""

from datetime import timedelta

from temporalio import activity, workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from bench.rivals import steps

FIVE_STEPS_QUEUE = "five-steps"
# Without heartbeats it is by this that Temporal learns that a worker has died.
_WITHIN = timedelta(seconds=10)
_RETRIES = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=5))


@activity.defn
def reserve(order_id: str) -> None:
    """A seat."""
    steps.reserve(order_id)


@activity.defn
def charge(order_id: str) -> str:
    """The payment."""
    return steps.charge(order_id)


@activity.defn
def mark_paid(order_id: str, intent: str) -> None:
    """The order's row."""
    steps.mark_paid(order_id, intent)


@activity.defn
def write_receipt(order_id: str) -> None:
    """The receipt's row."""
    steps.write_receipt(order_id)


@activity.defn
def mail(order_id: str) -> None:
    """The mail."""
    steps.mail(order_id)


@workflow.defn(name="FiveStepsWorkflow")
class FiveStepsWorkflow:
    """One order."""

    @workflow.run
    async def run(self, order_id: str) -> None:
        """All five, one after the other."""
        await workflow.execute_activity(reserve, order_id, start_to_close_timeout=_WITHIN, retry_policy=_RETRIES)
        intent = await workflow.execute_activity(
            charge, order_id, start_to_close_timeout=_WITHIN, retry_policy=_RETRIES
        )
        await workflow.execute_activity(
            mark_paid, args=[order_id, intent], start_to_close_timeout=_WITHIN, retry_policy=_RETRIES
        )
        await workflow.execute_activity(write_receipt, order_id, start_to_close_timeout=_WITHIN, retry_policy=_RETRIES)
        await workflow.execute_activity(mail, order_id, start_to_close_timeout=_WITHIN, retry_policy=_RETRIES)
