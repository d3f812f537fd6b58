"""The application under test, without a network: a real database, and Temporal replaced by a recorder."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import httpx
import pytest
from fastapi import FastAPI
from temporalio.client import Client

from activities.database import Sessions
from api import create_app
from settings import Settings
from tests.api.recording_temporal import RecordingTemporal

SECRET = "a-secret-of-at-least-thirty-two-bytes"
WEBHOOK_SECRETS = ("whsec_the_new_one", "whsec_the_old_one")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of an installation in test mode."""
    return Settings.model_validate(
        {
            "database_url": "postgresql+asyncpg://registrar@127.0.0.1:1/none",
            "stripe_api_key": "sk_test_1",
            "stripe_webhook_secrets": ",".join(WEBHOOK_SECRETS),
            "stripe_publishable_key": "pk_test_1",
            "smtp_url": "smtp://127.0.0.1:1",
            "files_url": tmp_path.as_uri(),
            "jwt_secret": SECRET,
            "temporal_ui_url": "http://temporal.test",
        }
    )


@pytest.fixture
def recorder() -> RecordingTemporal:
    """A Temporal that takes every signal and tells what it took."""
    return RecordingTemporal()


@pytest.fixture
def app(settings: Settings, sessions: Sessions, recorder: RecordingTemporal) -> FastAPI:
    """The application on the test database."""
    return create_app(settings, temporal=cast(Client, recorder), sessions=sessions)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A caller of the application."""
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://registrar.test") as opened:
        yield opened
