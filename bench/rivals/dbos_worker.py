"""The five steps as a DBOS workflow, in a process of its own: `python -m bench.rivals.dbos_worker`."""

import os
import signal
import threading

from dbos import DBOS, DBOSConfig

from bench.rivals import steps

QUEUE = "orders"
WORKFLOW = "order"
# Only what carries this version is taken up again after a crash.
VERSION = "benchmark"
_AT_ONCE = 20
_POLL_SECONDS = 0.02


@DBOS.step()
def reserve(order_id: str) -> None:
    """A seat."""
    steps.reserve(order_id)


@DBOS.step()
def charge(order_id: str) -> str:
    """The payment."""
    return steps.charge(order_id)


@DBOS.step()
def mark_paid(order_id: str, intent: str) -> None:
    """The order's row."""
    steps.mark_paid(order_id, intent)


@DBOS.step()
def write_receipt(order_id: str) -> None:
    """The receipt's row."""
    steps.write_receipt(order_id)


@DBOS.step()
def mail(order_id: str) -> None:
    """The mail."""
    steps.mail(order_id)


@DBOS.workflow(name=WORKFLOW)
def order(order_id: str) -> None:
    """One order."""
    reserve(order_id)
    intent = charge(order_id)
    mark_paid(order_id, intent)
    write_receipt(order_id)
    mail(order_id)


def run() -> None:
    """Work until SIGTERM."""
    config = DBOSConfig(
        name="rivals",
        system_database_url=os.environ["RIVALS_DBOS_URL"],
        sys_db_pool_size=_AT_ONCE,
        application_version=VERSION,
        log_level="WARNING",
    )
    DBOS(config=config)
    DBOS.launch()
    DBOS.register_queue(QUEUE, worker_concurrency=_AT_ONCE, polling_interval_sec=_POLL_SECONDS)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    print("dbos worker polls", flush=True)
    stop.wait()
    DBOS.destroy()


if __name__ == "__main__":
    run()
