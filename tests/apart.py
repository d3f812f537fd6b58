"""An installation on a Temporal server of its own, on disk: one that can be killed, or holds what no other may see."""

import dataclasses
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from models import search
from sandbox.ports import listen_on
from sandbox.temporal import EmbeddedTemporal
from tests.installation import Installation, serving
from workflows.connection import connect


@asynccontextmanager
async def apart_from(
    shared: Installation, folder: Path, dynamic_config: Mapping[str, str] | None = None
) -> AsyncIterator[tuple[Installation, EmbeddedTemporal]]:
    """An API on a Temporal server of its own, at which nobody has worked yet; all else is shared."""
    listener = listen_on()
    public_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    secret = shared.settings.stripe_webhook_secrets[0].get_secret_value()
    kinds = {key.name: key.indexed_value_type.name.title().replace("_", "") for key in search.ALL}
    async with EmbeddedTemporal(
        folder / "temporal.db", search_attributes=kinds, dynamic_config=dynamic_config
    ) as server:
        changed = {"temporal_address": server.address, "public_url": public_url}
        settings = shared.settings.model_copy(update=changed)
        async with serving(settings, listener), httpx.AsyncClient(base_url=public_url, timeout=60) as http:
            await shared.double.control.set_webhook(f"{public_url}/v1/webhooks/stripe", secret)
            temporal = await connect(server.address, "default")
            yield dataclasses.replace(shared, settings=settings, http=http, temporal=temporal), server
            await shared.double.control.set_webhook(f"{shared.settings.public_url}/v1/webhooks/stripe", secret)
