"""Runs of checks over HTTP: listed for staff alone, with what they found and the workbook of it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from io import BytesIO

import httpx
from openpyxl import load_workbook

from activities.check_runs import begin_run, end_run
from activities.database import Sessions
from activities.files import FileStore
from activities.findings import Found, record_findings
from activities.findings_workbook import FindingsWorkbookActivities
from models.messages.reconciliation import WriteFindings
from models.tables import Order
from models.tables.columns import now
from models.vocabulary import CheckKind, FindingKind
from settings import Settings
from tests.api.callers import as_staff, as_student
from tests.api.certificates_on_record import write_academy
from tests.api.orders_on_record import write_order, write_school

NIGHTLY = "reconcile-nightly-2026-03-10T01:30:00Z"


async def test_staff_read_runs_findings_and_the_workbook(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions
) -> None:
    await write_academy(sessions)
    school = await write_school(sessions)
    order_id = await write_order(sessions, school, school.anna, 1, paid=True)
    of_order = Found(
        kind=FindingKind.AMOUNT_MISMATCH, about="pi_1", subject_kind="order", subject_id=order_id, stripe_id="pi_1",
        reason="=HYPERLINK(1) another amount came in.", job_id=f"order-{order_id}", currency="EUR",
        expected_amount=4900, found_amount=-5000,
    )  # fmt: skip
    strange = Found(
        kind=FindingKind.UNKNOWN_PAYMENT, about="pi_2", subject_kind="payment", subject_id=school.anna,
        stripe_id="pi_2", reason="Nobody knows of it.", currency="XTS", found_amount=700, is_healing=True,
    )  # fmt: skip
    async with sessions.begin() as session:
        since = now() - timedelta(days=7)
        run_id = await begin_run(session, NIGHTLY, CheckKind.RECONCILIATION, "nightly", since, now())
        kinds = (FindingKind.AMOUNT_MISMATCH, FindingKind.UNKNOWN_PAYMENT)
        await record_findings(
            session, run_id, CheckKind.RECONCILIATION, kinds, [of_order, strange], workflow_id=NIGHTLY
        )
        await begin_run(session, "critical-mail-1", CheckKind.CRITICAL_MAIL, "daily", None, None)
        number = (await session.get_one(Order, order_id)).number

    staff, path = as_staff(settings), f"/v1/checks/{run_id}"
    early = await client.get(f"{path}/findings.xlsx", headers=staff)
    assert (early.status_code, early.json()["reason"]) == (404, "document_not_ready")
    async with sessions.begin() as session:
        await end_run(session, run_id, {"found": 2})
    with ThreadPoolExecutor(1) as executor:
        steps = FindingsWorkbookActivities(sessions, FileStore(settings.files_url), executor)
        kept = [await steps.write_findings(WriteFindings(run_id=run_id)) for _ in range(2)]
    assert {file.key for file in kept} == {f"check-runs/{run_id}.xlsx"}

    run = (await client.get(path, headers=staff)).json()
    assert (run["status"], run["counts"], run["has_workbook"], run["scope"]) == ("done", {"found": 2}, True, "nightly")
    assert run["job_url"].endswith("/reconcile-nightly-2026-03-10T01%3A30%3A00Z")
    assert (await client.get("/v1/checks", headers=staff)).json()["total"] == 2
    mails = await client.get("/v1/checks", params={"kind": "critical_mail", "status": "running"}, headers=staff)
    assert [each["scope"] for each in mails.json()["items"]] == ["daily"]

    listed = await client.get(
        "/v1/findings",
        params={"status": "open", "kind": "amount_mismatch", "found_by": "reconciliation", "check_id": str(run_id)},
        headers=staff,
    )
    [finding] = listed.json()["items"]
    assert (finding["order_number"], finding["found_amount"], finding["stripe_id"]) == (number, -5000, "pi_1")
    assert finding["job_url"].endswith(f"/order-{order_id}")
    assert (await client.get("/v1/findings", headers=staff)).json()["total"] == 2
    elsewhere = await client.get("/v1/findings", params={"check_id": str(school.anna)}, headers=staff)
    assert elsewhere.json()["total"] == 0

    file = await client.get(f"{path}/findings.xlsx", headers=staff)
    assert file.status_code == 200, file.text
    again = await client.get(f"{path}/findings.xlsx", headers={**staff, "If-None-Match": file.headers["etag"]})
    assert again.status_code == 304
    book = load_workbook(BytesIO(file.content))
    heads, first, second = list(book["findings"].iter_rows(values_only=True))
    lines = [dict(zip(heads, line, strict=True)) for line in (first, second)]
    assert [(line["kind"], line["order_number"], line["expected"], line["found"]) for line in lines] == [
        ("amount_mismatch", number, 49, -50),
        ("unknown_payment", None, None, 700),
    ]
    assert lines[0]["reason"] == "=HYPERLINK(1) another amount came in."
    assert {cell.data_type for cell in book["findings"]["K"]} == {"s"}
    assert isinstance(lines[0]["since"], datetime)
    assert book["findings"]["D2"].number_format == "#,##0.00"
    facts = dict(book["run"].iter_rows(values_only=True))
    assert (facts["check"], facts["findings"], facts["found"]) == ("reconciliation (nightly)", 2, 2)

    for address in ("/v1/checks", path, f"{path}/findings.xlsx", "/v1/findings"):
        assert (await client.get(address, headers=as_student(settings, school.anna))).status_code == 403
    unknown = await client.get(f"/v1/checks/{school.anna}", headers=staff)
    assert (unknown.status_code, unknown.json()["reason"]) == (404, "not_found")
