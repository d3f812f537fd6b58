"""What the routes work with: built once per application, found through the request."""

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends
from starlette.requests import HTTPConnection
from temporalio.client import Client

from activities.database import Sessions
from activities.files import FileStore
from routes.metrics import Metrics
from routes.rate_limits import RateLimit
from routes.tokens import TokenVerifier
from settings import Settings


@dataclass(frozen=True)
class Connections:
    """What is open only while the application runs."""

    sessions: Sessions
    temporal: Client


@dataclass(frozen=True)
class Parts:
    """What is there as long as the application object."""

    settings: Settings
    files: FileStore
    metrics: Metrics
    tokens: TokenVerifier
    verification_limit: RateLimit

    @classmethod
    def of(cls, settings: Settings) -> "Parts":
        """The parts of an application with these settings, its counters at zero."""
        return cls(settings, FileStore(settings.files_url), Metrics(), TokenVerifier(settings), RateLimit())


def parts_of(connection: HTTPConnection) -> Parts:
    """The parts of the application that serves this request."""
    return cast(Parts, connection.app.state.parts)


def connections_of(connection: HTTPConnection) -> Connections:
    """The open connections of the application that serves this request."""
    return cast(Connections, connection.app.state.connections)


TheParts = Annotated[Parts, Depends(parts_of)]
TheConnections = Annotated[Connections, Depends(connections_of)]
