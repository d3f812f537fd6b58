"""The connection to Temporal that API, worker, schedules and tests share: one converter, bounded retry."""

import logging

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.runtime import Runtime
from temporalio.service import RPCError
from tenacity import before_sleep_log, retry, retry_if_exception_type, stop_after_delay, wait_exponential_jitter

_log = logging.getLogger(__name__)


async def connect(
    address: str,
    namespace: str,
    *,
    api_key: str | None = None,
    tls: bool = False,
    give_up_after: float = 60,
    runtime: Runtime | None = None,
) -> Client:
    """Connect to Temporal, trying again for `give_up_after` seconds, since workers often boot before the server.

    Raises `RuntimeError` or `RPCError`, the last failure, when the time is over.
    """

    @retry(
        retry=retry_if_exception_type((RuntimeError, RPCError, OSError)),
        wait=wait_exponential_jitter(multiplier=0.2, max=5),
        stop=stop_after_delay(give_up_after),
        before_sleep=before_sleep_log(_log, logging.WARNING),
        reraise=True,
    )
    async def attempt() -> Client:
        return await Client.connect(
            address,
            namespace=namespace,
            api_key=api_key,
            tls=tls or api_key is not None,
            data_converter=pydantic_data_converter,
            runtime=runtime,
        )

    return await attempt()
