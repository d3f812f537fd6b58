"""How the API describes itself: examples of every answer, every problem a route may answer with, and `/docs`."""

import base64
import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from models.errors import Reason
from routes.problems import KINDS, MEDIA_TYPE, ProblemDocument, document
from routes.validation import InvalidField

# The name of the one security scheme, and under which a route notes the roles it is for.
BEARER, ROLES = "bearer", "x-roles"

Responses = dict[int | str, dict[str, Any]]

DESCRIPTION = """
The back office of a learning platform as durable workflows.

- **Errors** are problem documents (RFC 9457, `application/problem+json`); decide by `reason`, show `detail`.
- **Roles**: `security` names those that may call a route, any one of them. Who does not work for the academy has their
  own things there; what is somebody else's is answered as if it were not there.
- **Unknown** fields and unknown query parameters are refused with `invalid_request`.
- **Lists** come in pages (`page`, `per_page`), sorted by `sort=field` or `sort=field:desc`; the `Link` header leads on,
  `total` and `X-Total-Count` say how many there are.
- **`Idempotency-Key`** goes with every POST that starts something. Repeat a request with the same key as often as you
  like: it happens once.
- **Amounts** are integers in minor units of the currency; **times** are RFC 3339.
- **`X-Request-Id`** is taken over from the request or made up, and returned; every problem's `instance` has it too.
"""

TAGS = [
    {"name": "orders", "description": "Buying places in courses: from the quote to the paid seat and its receipt."},
    {"name": "documents", "description": "Receipts, invoices and credit notes as PDFs, and the dates of an order."},
    {"name": "tasks", "description": "What people have to decide, and deciding it."},
    {"name": "courses", "description": "What can be bought."},
    {"name": "enrollments", "description": "Who has a place in which course."},
    {"name": "learning", "description": "What is open for whom and when, what was learned, and who came to a meeting."},
    {"name": "refunds", "description": "Money back: whether it may be had, asking for it, and what became of it."},
    {"name": "cascades", "description": "Many places that end at once, because their tutor or course is gone."},
    {"name": "tutor applications", "description": "Becoming a tutor: applying, showing documents, being reviewed."},
    {"name": "reviewers", "description": "Who reviews applications, and whether they are there."},
    {"name": "subjects", "description": "What can be taught, and what has to be shown for it."},
    {"name": "carts", "description": "What people are about to buy, how they are reminded of it, and what came back."},
    {"name": "subscriptions", "description": "Who has said yes or no to which marketing mail."},
    {
        "name": "certificates",
        "description": "Who has completed what: issued, renewed, corrected, revoked, and checked.",
    },
    {"name": "exports", "description": "What is on record as files: workbooks, CSV and PDF."},
    {"name": "jobs", "description": "What a workflow is doing and why it waits, for operators."},
    {"name": "checks", "description": "What looks over the record again and again, and what it has found wrong."},
    {"name": "webhooks", "description": "Where Stripe reports that something changed."},
    {
        "name": "pages",
        "description": "Where a browser comes back to from Stripe, and where links in mails lead. No login.",
    },
    {"name": "health", "description": "For load balancers and monitoring."},
]

_EXAMPLE_REQUEST_ID = "0198f3a2-7c1e-7b54-9d10-3f6f0f0c2a11"
_EXAMPLE_ERRORS = {
    Reason.INVALID_REQUEST: [InvalidField(pointer="#/lines/0/course_id", detail="Field required")],
    Reason.APPLICATION_INCOMPLETE: [InvalidField(pointer="#/bio", detail="Say something about yourself.")],
    Reason.CERTIFICATE_NOT_ELIGIBLE: [
        InvalidField(pointer="#/grounds/not_completed", detail="The course is not completed.")
    ],
    Reason.TEMPLATE_INVALID: [InvalidField(pointer="#/canvas/boxes/3/font_color", detail="is no color: write #rrggbb")],
}
_EXAMPLE_MOMENT = datetime(2026, 3, 9, 5, 0, tzinfo=UTC)
# Served from here: the page works without the internet, and no third party sees who reads it.
_SWAGGER = "/docs/swagger-ui"


def answer(
    status: HTTPStatus,
    description: str,
    example: BaseModel,
    headers: Mapping[str, Any] | None = None,
    *,
    dry_run: BaseModel | None = None,
) -> Responses:
    """The OpenAPI response of a good answer, with an example that is a valid one by construction."""
    shown = {"example": {"summary": description, "value": example.model_dump(mode="json")}}
    if dry_run is not None:
        shown["dry_run"] = {"summary": "What would happen, of a dry run", "value": dry_run.model_dump(mode="json")}
    response: dict[str, Any] = {
        "description": description,
        "content": {"application/json": {"examples": shown}},
    }
    if headers is not None:
        response["headers"] = dict(headers)
    return {int(status): response}


def location_header(example: str) -> dict[str, Any]:
    """The documentation of the `Location` header."""
    return {"Location": {"description": "where to look", "schema": {"type": "string"}, "example": example}}


def problems(*reasons: Reason) -> Responses:
    """The OpenAPI responses of a route that may refuse for these reasons, an example each."""
    responses: Responses = {}
    # A body that may be too large may also be too slow.
    slow = {Reason.REQUEST_TOO_SLOW} if Reason.PAYLOAD_TOO_LARGE in reasons else set()
    for reason in sorted({*reasons, *slow, Reason.INTERNAL}, key=lambda each: (KINDS[each].status, each)):
        kind = KINDS[reason]
        response = responses.setdefault(
            int(kind.status),
            {
                "description": f"{kind.status.phrase}: ",
                "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}, "examples": {}}},
            },
        )
        separator = "" if response["description"].endswith(": ") else ", "
        response["description"] += f"{separator}`{reason}`"
        response["content"][MEDIA_TYPE]["examples"][reason.value] = {"summary": kind.title, "value": _example(reason)}
    return responses


def either(*answers: Responses) -> Responses:
    """Answers of which some have one status: to it belong the words and the media types of each."""
    responses: Responses = {}
    for status, response in (pair for each in answers for pair in each.items()):
        known = responses.setdefault(status, {**response, "content": {}})
        if known["description"] != response["description"]:
            known["description"] += f"; or: {response['description']}"
        known["content"] = {**known["content"], **response.get("content", {})}
    return responses


def install(app: FastAPI) -> None:
    """Give the application its description at `/openapi.json` and the page `/docs` that shows it."""
    page, policy = _docs_page(app.title)

    def describe() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = get_openapi(
                title=app.title,
                version=app.version,
                summary=app.summary,
                description=app.description,
                tags=TAGS,
                routes=app.routes,
            )
            _say_for_whom(app.openapi_schema)
            schemas = app.openapi_schema.setdefault("components", {}).setdefault("schemas", {})
            problem = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas.update(problem.pop("$defs"))
            schemas["ProblemDocument"] = problem
        return app.openapi_schema

    async def docs(_: Request) -> HTMLResponse:
        return HTMLResponse(page, headers={"Content-Security-Policy": policy})

    # The framework asks for it this way.
    app.openapi = describe  # type: ignore[method-assign]
    app.add_route("/docs", docs, include_in_schema=False)
    app.mount(_SWAGGER, StaticFiles(packages=[("fastapi_offline", "static")]))


def _say_for_whom(description: dict[str, Any]) -> None:
    """Each role is one way to be let in, as OpenAPI 3.1 puts it: a scheme with the roles that it takes."""
    for operation in (each for methods in description["paths"].values() for each in methods.values()):
        if (roles := operation.pop(ROLES, None)) is not None:
            operation["security"] = [{BEARER: [role]} for role in roles]


def _example(reason: Reason) -> dict[str, Any]:
    title, errors = KINDS[reason].title, _EXAMPLE_ERRORS.get(reason)
    shown = document(reason, f"{title}.", _EXAMPLE_REQUEST_ID, errors, _EXAMPLE_MOMENT)
    return shown.model_dump(mode="json", exclude_none=True)


def _docs_page(title: str) -> tuple[str, str]:
    """Swagger UI, and a policy that lets this one inline script run and no other."""
    page = bytes(
        get_swagger_ui_html(
            openapi_url="/openapi.json",
            title=title,
            swagger_js_url=f"{_SWAGGER}/swagger-ui-bundle.js",
            swagger_css_url=f"{_SWAGGER}/swagger-ui.css",
            swagger_favicon_url="data:,",
        ).body
    ).decode()
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    )
    # Swagger UI sets style attributes, which have no hash.
    policy = (
        f"default-src 'none'; script-src {hashes} 'self'; style-src 'unsafe-inline' 'self'; "
        "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return page, policy
