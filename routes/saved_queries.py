"""What operators look for again and again, as links: the Temporal Web UI keeps saved views in one browser only."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from models.saved_queries import SAVED_QUERIES, SavedQuery
from models.vocabulary import Role
from routes.authentication import REFUSALS, AuthenticatedRoute, require
from routes.documentation import answer, problems
from routes.parts import TheParts
from routes.runs import query_address
from settings import Settings

router = APIRouter(prefix="/v1/saved-queries", tags=["jobs"], route_class=AuthenticatedRoute)


class SavedQueryView(BaseModel):
    """A query of the Temporal Web UI."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    finds: str
    query: str = Field(description="in the language of Temporal's visibility, as it is asked now")
    href: str = Field(description="the list in the Temporal Web UI")


class SavedQueriesView(BaseModel):
    """All of them, in the order in which operators need them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    items: tuple[SavedQueryView, ...]


_EXAMPLE = SavedQueryView(
    name="needs_human",
    finds="what a person must look at",
    query='RegistrarNeedsHuman=true AND ExecutionStatus="Running"',
    href="http://127.0.0.1:8233/namespaces/default/workflows?query=RegistrarNeedsHuman%3Dtrue%20AND%20ExecutionStatus"
    "%3D%22Running%22",
)


@router.get(
    "",
    summary="List the saved queries",
    responses={
        **answer(HTTPStatus.OK, "The queries", SavedQueriesView(items=(_EXAMPLE,))),
        **problems(*REFUSALS),
    },
)
async def get_saved_queries(
    _: Annotated[object, Depends(require(Role.STAFF, Role.ADMIN, Role.SERVICE))], parts: TheParts
) -> SavedQueriesView:
    """Each with its link; a query that speaks of now means the moment of this answer."""
    now = datetime.now(UTC)
    return SavedQueriesView(items=tuple(_view(each, parts.settings, now) for each in SAVED_QUERIES))


def _view(saved: SavedQuery, settings: Settings, now: datetime) -> SavedQueryView:
    query = saved.at(now)
    return SavedQueryView(name=saved.name, finds=saved.finds, query=query, href=query_address(settings, query))
