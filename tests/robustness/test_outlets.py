"""Mails, documents, files, logs and questions to Temporal: what people write stays text wherever it comes out."""

import ast
import json
import logging
import os
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default
from functools import cache
from io import BytesIO
from pathlib import Path
from uuid import UUID

import pytest
from openpyxl import Workbook, load_workbook
from pypdf import PdfReader
from temporalio.client import Client

from activities.document_pdf import render_pdf
from activities.files import FileStore
from activities.job_listing import InvalidQueryError, count_jobs, quoted, within_ours
from activities.logs import JsonLines, TextLines
from activities.mail_message import InvalidAddressError, compose, mailbox
from activities.mail_rendering import RenderedMail
from activities.spreadsheet_cells import csv_text, looks_like_formula, put_text
from models.vocabulary import MailTemplate
from sandbox.sample_mails import write
from tests.log_lines import log_lines
from tests.robustness.corpora import EVERYTHING, FILE_NAMES, FORMULAS, LINES, MARKUP, PEOPLE
from tests.thoroughness import IS_THOROUGH
from tests.unit.certificates_to_print import box, canvas, facts, rendered
from tests.unit.printed_documents import of_every_kind, person, sold

_ROOT = Path(__file__).parents[2]
_NAMES = [each for each in (*MARKUP, *LINES, *PEOPLE, *FORMULAS, *FILE_NAMES) if each.strip("\0\r\n\t ")]
_MAIL_ID = UUID("00000000-0000-5000-8000-000000000001")


def some(count: int, at: int) -> list[str]:
    """Some of the names, others at each place; all of them in a thorough run."""
    return _NAMES if IS_THOROUGH else [_NAMES[(at * count + each) % len(_NAMES)] for each in range(count)]


# ---- mails ----


def composed(mail: RenderedMail, name: str) -> bytes:
    """The mail as it is sent to somebody of this name."""
    return compose(
        mail,
        mail_id=_MAIL_ID,
        domain="registrar.test",
        sender=mailbox("Academy", "academy@registrar.test"),
        recipient=mailbox(name, "payer@example.org"),
        moment=datetime(2026, 3, 2, tzinfo=UTC),
    )


@pytest.mark.parametrize(("at", "template"), list(enumerate(MailTemplate)))
def test_no_name_adds_a_header_or_a_receiver(at: int, template: MailTemplate) -> None:
    for name in some(3, at):
        raw = composed(write(template, name=name, title=name), name)
        head = raw.split(b"\r\n\r\n")[0].replace(b"\r\n", b"\n")
        message = message_from_bytes(raw, policy=default)
        assert {"Bcc", "Cc", "X-A"}.isdisjoint(message.keys())
        assert len(message.keys()) == len(set(message.keys()))
        assert [each.addr_spec for each in message["To"].addresses] == ["payer@example.org"]
        assert b"\0" not in raw
        assert b"\r" not in head
        assert all(len(line) <= 998 for line in head.split(b"\n"))


@pytest.mark.parametrize("subject", _NAMES)
def test_no_subject_is_more_than_one(subject: str) -> None:
    mail = replace(write(MailTemplate.PAYMENT_PROCESSING), subject=subject)
    message = message_from_bytes(composed(mail, "Ada"), policy=default)
    usual = message_from_bytes(composed(write(MailTemplate.PAYMENT_PROCESSING), "Ada"), policy=default)
    assert message.keys() == usual.keys()
    assert len(message["Subject"].splitlines()) == 1


@pytest.mark.parametrize(
    "odd", [*LINES, *FILE_NAMES, "a@b@c.test", "a b@c.test", "a@c.test\n", "a@[::1]", "a@" + "x" * 300]
)
def test_no_address_is_more_than_one(odd: str) -> None:
    for address in (odd, f"{odd}@x.test", f"a@{odd}"):
        try:
            made = mailbox("Ada", address)
        except InvalidAddressError:
            continue
        assert made.addr_spec.count("@") == 1
        assert made.addr_spec.isascii()
        assert made.addr_spec.isprintable()


# ---- documents ----


def _objects(pdf: bytes) -> tuple[int, bool]:
    reader = PdfReader(BytesIO(pdf))
    return sum(len(page.images) for page in reader.pages), b"/JavaScript" in pdf or b"/Launch" in pdf


@pytest.mark.parametrize("at", range(6))
def test_documents_print_names_and_fetch_nothing(at: int) -> None:
    calm = [_objects(render_pdf(printed)) for printed in of_every_kind(sold())]
    for name in some(3, at):
        named = person(name)
        for usual, printed in zip(calm, of_every_kind(sold(title=name, buyer=named)), strict=True):
            assert _objects(render_pdf(printed)) == usual


@pytest.mark.parametrize("at", range(6))
def test_certificates_print_names_and_fetch_nothing(at: int) -> None:
    usual = _objects(rendered(canvas(box()), facts()))
    for name in some(3, at):
        assert _objects(rendered(canvas(box()), facts(name))) == usual


# ---- spreadsheets ----


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_formula_is_text_in_every_spreadsheet(formula: str) -> None:
    assert looks_like_formula(formula) or ";" in formula or "," in formula
    assert csv_text(formula) != formula or not looks_like_formula(formula)
    book, file = Workbook(), BytesIO()
    put_text(book.active["A1"], formula)
    book.save(file)
    assert load_workbook(file).active["A1"].data_type == "s"


@cache
def _calls() -> list[tuple[Path, ast.Call]]:
    return [
        (path, node)
        for folder in ("activities", "routes", "workflows", "commands", "doctor")
        for path in sorted((_ROOT / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    ]


# Where text gets out, and the one module that may let it: a new outlet goes through it, or fails here.
_ONE_WAY_OUT = {
    "csv.writer": {"activities/export_csv.py"},
    "csv.DictWriter": set(),
    "reportlab.platypus.Paragraph": set(),
    "Paragraph": set(),
    "Markup": {"routes/pages.py", "routes/cart_links.py", "activities/mail_rendering.py"},
    "EmailMessage": {"activities/mail_message.py"},
    "HTMLResponse": {"routes/pages.py", "routes/documentation.py"},
    "subprocess.run": set(),
    "eval": set(),
    "pickle.loads": set(),
    "yaml.load": set(),
}


def test_text_gets_out_where_it_is_made_harmless() -> None:
    wrong = [
        f"{path.relative_to(_ROOT)}:{call.lineno} calls {name}, which {_ONE_WAY_OUT[name]} may."
        for path, call in _calls()
        if (name := ast.unparse(call.func)) in _ONE_WAY_OUT and str(path.relative_to(_ROOT)) not in _ONE_WAY_OUT[name]
    ]
    assert not wrong, "\n".join(wrong)


def test_every_template_engine_escapes() -> None:
    engines = [(path, call) for path, call in _calls() if ast.unparse(call.func) == "Environment"]
    assert engines
    for path, call in engines:
        given = {each.arg: ast.unparse(each.value) for each in call.keywords}
        assert given.get("autoescape", "False") != "False", f"{path.name}:{call.lineno} does not escape."
        assert given.get("undefined") == "StrictUndefined", f"{path.name}:{call.lineno}"


# What cells are made with: numbers, days, moments and our own words.
_NO_TEXTS = {
    "in_major_units(value.amount, value.currency)",
    "value.thousandths / 1000",
    "value.astimezone(self.heading.zone).replace(tzinfo=None)",
    "None if moment is None else moment.astimezone(zone).replace(tzinfo=None)",
    "value",
    "shown",
    "text",
    "name",
    "line.position",
}


def test_workbooks_get_text_by_one_function() -> None:
    """A cell that is given a value is given a number, a day or our own words; texts of people go through `put_text`."""
    for path, call in _calls():
        if ast.unparse(call.func) != "WriteOnlyCell":
            continue
        for given in (ast.unparse(each.value) for each in call.keywords):
            assert given in _NO_TEXTS, (
                f"{path.name}:{call.lineno}: make the cell, then `put_text(cell, …)`; or: {given}"
            )


# ---- files ----


@pytest.mark.parametrize("name", FILE_NAMES)
async def test_no_name_leaves_the_store(name: str, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("outside")
    store = FileStore((tmp_path / "store").as_uri())
    for key in (name, f"a/{name}", f"../outside/{name}", "../outside"):
        try:
            await store.put(key, b"x")
        except Exception:  # noqa: BLE001, S112 - refused, by us or by the store
            continue
    assert (tmp_path / "outside").read_text() == "outside"
    assert set(os.listdir(tmp_path)) <= {"outside", "store"}


# ---- logs ----


@pytest.mark.parametrize("form", [JsonLines, TextLines])
def test_a_record_is_one_line_whatever_it_says(form: type[logging.Formatter]) -> None:
    log = logging.getLogger("registrar.test")
    with log_lines(form()) as written:
        for each in EVERYTHING:
            log.warning("said %s", each.encode("utf-8", "replace").decode(), extra={"reason": each})
    lines = written.getvalue().split("\n")
    assert len(lines) == len(EVERYTHING) + 1
    assert not any(set(line) & set("\r\x1b\x85\u2028\x0b\0") for line in lines)
    if form is JsonLines:
        assert all(json.loads(line)["level"] == "warning" for line in lines[:-1])


# ---- questions to Temporal ----

_QUERIES = [
    *EVERYTHING,
    "RegistrarJob = 'x') OR (WorkflowId != ''",
    "1=1) OR (1=1",
    "RegistrarJob IS NULL OR RegistrarJob IS NOT NULL",
    "WorkflowId = 'a' -- ",
    "WorkflowId = 'a' /* ",
    "WorkflowId = 'a' # ",
    'WorkflowId = "a\\" OR "b"',
    "WorkflowId = 'a''",
    "ORDER BY StartTime",
    "GROUP BY ExecutionStatus",
    ") OR (",
]


@pytest.mark.parametrize("value", EVERYTHING)
def test_a_value_does_not_leave_its_quotes(value: str) -> None:
    try:
        asked = quoted(value)
    except InvalidQueryError:
        return
    assert asked[0] == asked[-1] == '"'
    assert not set(asked[1:-1]) & set("\"'\\\0")


async def test_no_query_leaves_our_jobs(real_temporal: Client) -> None:
    """Asked at a real server: what it does not understand is refused; there is nothing else it could find."""
    for query in _QUERIES:
        try:
            within_ours(query)
        except InvalidQueryError:
            continue
        try:
            assert await count_jobs(real_temporal, query) >= 0
        except (InvalidQueryError, ValueError):
            continue
