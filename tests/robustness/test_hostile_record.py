"""A record full of texts that mean harm: whatever the API makes of it, they stay texts."""

import re
from io import BytesIO
from typing import Any

import pytest
from openpyxl import load_workbook
from sqlalchemy import String, text
from sqlmodel import AutoString, SQLModel

from models.vocabulary import Role
from tests.robustness.access import ACCESS
from tests.robustness.corpora import FORMULAS, LINES, MARKUP, PEOPLE
from tests.robustness.documented import operations_of
from tests.robustness.standing_app import StandingApp, requirement_of
from tests.robustness.test_odd_requests import address

# What people write, of any table: a column with such a name is taken by itself.
_WRITTEN = re.compile(
    r"(^|_)(name|title|label|text|bio|description|address|qualifications|certifications|number|instructions|detail"
    r"|reason|note|reference|category|message|author|link)$"
)
_HARM = "=1+1 <script>alert(1)</script>\r\nBcc: x@evil.test \u202e{{ 7*7 }}\"'"
_SKIPPED = {"alembic_version"}


@pytest.fixture(scope="module")
def hostile(standing: StandingApp) -> set[str]:
    """Every text that people may write means harm now. Answers the columns."""
    named = [
        (table.name, column.name, getattr(column.type, "length", None))
        for table in SQLModel.metadata.sorted_tables
        for column in table.columns
        if table.name not in _SKIPPED and isinstance(column.type, AutoString | String) and _WRITTEN.search(column.name)
    ]

    async def spoil() -> set[str]:
        spoiled = set()
        for table, column, length in named:
            # Each row has another text, since some have to be unique; some columns take nothing of the kind.
            harm = "left(CAST(:harm AS text) || CAST(ctid AS text), CAST(:length AS integer))"
            statement = f'UPDATE "{table}" SET "{column}" = {harm}'  # noqa: S608
            try:
                async with standing.sessions.begin() as session:
                    await session.execute(text(statement), {"harm": _HARM, "length": length or 500})
                spoiled.add(f"{table}.{column}")
            except Exception as e:  # noqa: BLE001 - a constraint of the table keeps it out
                print(table, column, str(e)[:300])
                continue
        return spoiled

    return standing.portal.call(spoil)


def test_what_people_write_can_mean_harm(hostile: set[str]) -> None:
    wanted = {"people.full_name", "courses.title", "academies.name", "lessons.title", "tutor_applications.bio"}
    assert wanted <= hostile


def test_every_answer_holds_text_and_nothing_else(standing: StandingApp, hostile: set[str]) -> None:
    assert hostile
    faults: list[str] = []
    for operation in operations_of(standing.app.openapi()):
        if operation.method != "GET":
            continue
        requirement = requirement_of(standing.routes[operation.description["operationId"]])
        headers = {} if requirement is None else standing.caller(*(requirement.roles or Role))
        for accepted in ("application/json", "text/html"):
            answer = standing.send("GET", address(standing, operation), headers={**headers, "Accept": accepted})
            kind = answer.headers.get("content-type", "")
            if (fault := operation.fault_of(answer)) is not None:
                faults.append(f"{operation.name}: {fault}")
            if "html" in kind and "<script>alert" in answer.text:
                faults.append(f"{operation.name}: markup")
            if any("\r" in value or "\n" in value for value in answer.headers.values()):
                faults.append(f"{operation.name}: a header of two lines")
            if kind.endswith("sheet"):
                faults += _formulas_of(operation.name, answer.content)
            if answer.headers.get(
                "x-content-type-options"
            ) != "nosniff" or "default-src 'none'" not in answer.headers.get("content-security-policy", ""):
                faults.append(f"{operation.name}: headers")
            if operation.path.startswith("/v1/") and answer.headers.get("cache-control") != "no-store":
                faults.append(f"{operation.name}: may be stored")
    assert not faults, "\n".join(faults)


def _formulas_of(name: str, content: bytes) -> list[str]:
    book = load_workbook(BytesIO(content))
    cells = (cell for sheet in book.worksheets for row in sheet.iter_rows() for cell in row)
    return [f"{name}: a formula in {cell.coordinate}" for cell in cells if cell.data_type == "f"]


@pytest.mark.parametrize("wanted", [*MARKUP, *LINES, *PEOPLE, *FORMULAS, "%", "_", "%_%", "\\", "'", "a' OR 'b"])
def test_what_is_searched_for_is_compared_and_not_understood(standing: StandingApp, wanted: str) -> None:
    """No text finds what is not called so: neither by LIKE's wildcards nor by anything else."""
    staff = standing.caller(Role.STAFF)
    for operation in operations_of(standing.app.openapi()):
        texts = [
            each["name"]
            for each in operation.parameters
            if each["in"] == "query" and _is_free_text(each["schema"]) and each["name"] != "page_token"
        ]
        if operation.method != "GET" or Role.STAFF not in ACCESS[operation.name].roles:
            continue
        for name in texts:
            answer = standing.send("GET", address(standing, operation), params={name: wanted[:200]}, headers=staff)
            assert operation.fault_of(answer) is None, operation.name
            assert answer.status_code == 422 or answer.json()["total"] == 0, (operation.name, name)


def _is_free_text(schema: dict[str, Any]) -> bool:
    one = [each for each in schema.get("anyOf", [schema]) if each.get("type") == "string"]
    return any("enum" not in each and "format" not in each and "const" not in each for each in one)
