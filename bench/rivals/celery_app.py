"""The five steps as a chain of Celery tasks, acknowledged when they are done.

Its broker is PostgreSQL as well, through kombu's transport for SQLAlchemy, which asks for work once a second unless it
is told otherwise.
"""

import os

from celery import Celery, chain
from celery.canvas import Signature
from kombu.transport.sqlalchemy import Transport

from bench.rivals import steps

_POLL_SECONDS = 0.02

# As an option it would be handed on to SQLAlchemy, which refuses it.
Transport.polling_interval = _POLL_SECONDS

app = Celery("rivals", broker=os.environ.get("RIVALS_CELERY_URL", "memory://"))
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
    worker_send_task_events=False,
    worker_enable_remote_control=False,
)


@app.task(name="reserve")
def reserve(order_id: str) -> None:
    """A seat."""
    steps.reserve(order_id)


@app.task(name="charge")
def charge(order_id: str) -> str:
    """The payment; the next task of the chain is given its id."""
    return steps.charge(order_id)


@app.task(name="mark_paid")
def mark_paid(intent: str, order_id: str) -> None:
    """The order's row."""
    steps.mark_paid(order_id, intent)


@app.task(name="write_receipt")
def write_receipt(order_id: str) -> None:
    """The receipt's row."""
    steps.write_receipt(order_id)


@app.task(name="mail")
def mail(order_id: str) -> None:
    """The mail."""
    steps.mail(order_id)


def order(order_id: str) -> Signature:
    """One order, to be applied."""
    return chain(
        reserve.si(order_id),
        charge.si(order_id),
        mark_paid.s(order_id),
        write_receipt.si(order_id),
        mail.si(order_id),
    )
