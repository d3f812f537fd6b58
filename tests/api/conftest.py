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
from routes.parts import Connections, Parts
from settings import Settings
from tests.api.recording_temporal import RecordingTemporal

SECRET = "a-secret-of-at-least-thirty-two-bytes"
WEBHOOK_SECRETS = ("whsec_the_new_one", "whsec_the_old_one")


def installation_in_test_mode(folder: Path) -> Settings:
    """Its settings, with the folder for its files."""
    return Settings.model_validate(
        {
            "database_url": "postgresql+asyncpg://registrar@127.0.0.1:1/none",
            "stripe_api_key": "sk_test_1",
            "stripe_webhook_secrets": ",".join(WEBHOOK_SECRETS),
            "stripe_publishable_key": "pk_test_1",
            "smtp_url": "smtp://127.0.0.1:1",
            "files_url": folder.as_uri(),
            "jwt_secret": SECRET,
            "temporal_ui_url": "http://temporal.test",
        }
    )


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of an installation in test mode."""
    return installation_in_test_mode(tmp_path)


@pytest.fixture
def recorder() -> RecordingTemporal:
    """A Temporal that takes every signal and tells what it took."""
    return RecordingTemporal()


@pytest.fixture(scope="session")
def routed_app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    """The application with its routes, which take longer to build than most requests to answer."""
    return create_app(installation_in_test_mode(tmp_path_factory.mktemp("files")))


@pytest.fixture
def app(routed_app: FastAPI, settings: Settings, sessions: Sessions, recorder: RecordingTemporal) -> FastAPI:
    """The application on the test database, with parts of its own for each test."""
    routed_app.state.parts = Parts.of(settings)
    routed_app.state.connections = Connections(sessions=sessions, temporal=cast(Client, recorder))
    return routed_app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A caller of the application."""
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://registrar.test") as opened:
        yield opened
