"""The API describes itself completely: every route, every answer, every problem, with examples that are true."""

import base64
import hashlib
import re
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import TypeAdapter

from models.errors import Reason
from routes.problems import KINDS, MEDIA_TYPE, ProblemDocument

METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture
def description(app: FastAPI) -> dict[str, Any]:
    return app.openapi()


@pytest.fixture
def operations(description: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
        if method in METHODS
    }


def test_every_route_is_summed_up_described_and_tagged(
    description: dict[str, Any], operations: dict[str, dict[str, Any]]
) -> None:
    tags = {tag["name"] for tag in description["tags"]}
    assert len(operations) >= 16
    for name, operation in operations.items():
        assert operation["summary"], name
        assert operation["description"], name
        assert len(operation["tags"]) == 1, name
        assert set(operation["tags"]) <= tags, name
    assert {tag for operation in operations.values() for tag in operation["tags"]} == tags


def test_operation_ids_are_unique(operations: dict[str, dict[str, Any]]) -> None:
    ids = [operation["operationId"] for operation in operations.values()]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"[a-z_]+", each) for each in ids)


def test_every_answer_and_every_body_has_an_example(operations: dict[str, dict[str, Any]]) -> None:
    for name, operation in operations.items():
        shown = [operation["requestBody"]] if "requestBody" in operation else []
        shown += [response for status, response in operation["responses"].items() if status not in {"204", "304"}]
        for part in shown:
            for content in part["content"].values():
                assert content.get("examples") or content.get("example"), (name, part)


def test_every_route_documents_its_problems(operations: dict[str, dict[str, Any]]) -> None:
    document = TypeAdapter(ProblemDocument)
    for name, operation in operations.items():
        found = {
            reason: (status, example["value"])
            for status, response in operation["responses"].items()
            for reason, example in response.get("content", {}).get(MEDIA_TYPE, {}).get("examples", {}).items()
        }
        for reason, (status, value) in found.items():
            assert document.validate_python(value, strict=False).reason == reason, name
            assert int(status) == KINDS[Reason(reason)].status, name
        assert "internal" in found, name
        if "security" in operation:
            assert {"token_missing", "token_invalid", "token_expired", "role_not_allowed"} <= found.keys(), name
        if "requestBody" in operation:
            assert {"invalid_request", "payload_too_large"} <= found.keys(), name
        if operation.get("parameters") and "pages" not in operation["tags"]:
            assert "invalid_request" in found, name


def test_resources_need_a_bearer_token(description: dict[str, Any], operations: dict[str, dict[str, Any]]) -> None:
    assert description["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    for name, operation in operations.items():
        needs = name.split(" ")[1].startswith("/v1/") and not {"webhooks", "pages"} & set(operation["tags"])
        assert ("security" in operation) is needs, name


def test_the_description_holds_together(description: dict[str, Any]) -> None:
    schemas = description["components"]["schemas"]
    assert "HTTPValidationError" not in schemas
    referred = set(re.findall(r"#/components/schemas/([A-Za-z0-9_]+)", str(description)))
    assert referred <= schemas.keys()


def test_what_is_general_is_said_once(description: dict[str, Any]) -> None:
    said = description["info"]["description"]
    for subject in ("query parameters", "Idempotency-Key", "application/problem+json", "Link", "minor units"):
        assert subject in said


def test_students_cannot_send_privileged_facts(description: dict[str, Any]) -> None:
    schemas = description["components"]["schemas"]
    assert schemas["OrderBody"]["additionalProperties"] is False
    assert set(schemas["OrderBody"]["properties"]) == {
        "lines",
        "coupon_code",
        "payment_method",
        "payer_id",
        "is_test",
    }
    assert set(schemas["LineBody"]["properties"]) == {"course_id", "student_id", "slot_ids"}


async def test_the_page_shows_the_description_and_runs_no_other_script(client: httpx.AsyncClient) -> None:
    answer = await client.get("/docs")
    policy = answer.headers["Content-Security-Policy"]
    assert "/openapi.json" in answer.text
    (script,) = re.findall(r"<script>(.*?)</script>", answer.text, re.DOTALL)
    assert f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" in policy
    for source in re.findall(r'(?:src|href)="(https://[^"]+)"', answer.text):
        assert source.rsplit("/", 1)[0] + "/" in policy
    assert "connect-src 'self'" in policy
    assert (await client.get("/openapi.json")).json()["info"]["title"] == "Registrar"
