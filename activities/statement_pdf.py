"""The statement of account as PDF."""

from collections.abc import Iterator, Sequence
from datetime import date
from itertools import groupby

from reportlab.platypus import Flowable

from activities.report_sheet import Sheet, figure, words
from activities.statement import CurrencyStatement, Statement, StatementLine, Tie

MOST_LINES = 2_000  # set one by one; the workbook has all
_NOTE = (
    "The account holds what payers have paid and what has not gone back to them, by the moment at which it was written"
    " down, so a closed month never changes: a refund that comes to nothing is another movement, on the day on which"
    " that is known. Disputed money is gone once the dispute is lost. Payments beside an order, and what is paid back"
    " of them, are in no account; what Stripe keeps as fees or pays out is in the finance report."
)


def render_statement(statement: Statement, most_lines: int = MOST_LINES) -> bytes:
    """The statement on A4, with all fonts embedded. Of more than `most_lines` movements it has the sums of each day."""
    sheet = Sheet.of(statement.heading)
    story: list[Flowable] = []
    for account in statement.currencies:
        story += _account(sheet, account, most_lines)
    if not statement.currencies:
        story += sheet.section("There was no money before these days, and none moved in them.")
    return sheet.pages([*story, *sheet.section("How it is counted", sheet.note(_NOTE))])


def tie_rows(tie: Tie, currency: str) -> list[tuple[str, str]]:
    """How the account ties to the record, in words."""
    rows = [
        ("All movements until the state of the record", figure(tie.by_movements, currency)),
        ("Payments, refunds and lost disputes as they stand", figure(tie.by_record, currency)),
    ]
    return [*rows, ("Difference", figure(tie.difference, currency))]


def balances(account: CurrencyStatement) -> Iterator[tuple[StatementLine, int]]:
    """Each movement with what there is after it."""
    there = account.opening
    for line in account.lines:
        there += line.amount
        yield line, there


def _account(sheet: Sheet, account: CurrencyStatement, most_lines: int) -> list[Flowable]:
    code = account.currency
    rows = [("Opening balance", "", figure(account.opening, code))]
    rows += [(words(kind), str(count), figure(amount, code)) for kind, (count, amount) in account.by_kind.items()]
    parts = [
        *sheet.currency(code),
        sheet.table(
            ("", "Movements", f"Amount, {code}"),
            rows,
            total=("Closing balance", str(len(account.lines)), figure(account.closing, code)),
        ),
        sheet.together("Ties to the record", sheet.table(("", f"Amount, {code}"), tie_rows(account.tie, code))),
    ]
    if not account.lines:
        return parts
    if len(account.lines) > most_lines:
        note = sheet.note(
            f"There are {len(account.lines)} movements: here are the sums of each day, the workbook has all."
        )
        return [*parts, *sheet.section("Days", note, _days(sheet, account))]
    return [*parts, *sheet.section("Movements", _lines(sheet, account))]


def _lines(sheet: Sheet, account: CurrencyStatement) -> Flowable:
    code, zone = account.currency, sheet.heading.zone
    rows: list[Sequence[str]] = [
        (
            f"{words(line.kind)}, {words(line.reason or line.method).lower()}",
            line.order_number,
            f"{line.at.astimezone(zone):%Y-%m-%d %H:%M}",
            figure(line.amount, code),
            figure(there, code),
        )
        for line, there in balances(account)
    ]
    heads = ("Movement", "Order", "When", f"Amount, {code}", f"Balance, {code}")
    return sheet.table(heads, rows, texts=3, widths=(92, 86), total=_closing(account, ("", "")))


def _days(sheet: Sheet, account: CurrencyStatement) -> Flowable:
    code = account.currency

    def day(line: StatementLine) -> date:
        return line.at.astimezone(sheet.heading.zone).date()

    rows, there = [], account.opening
    for each, lines in groupby(account.lines, day):
        amounts = [line.amount for line in lines]
        there += sum(amounts)
        sums = (sum(amount for amount in amounts if amount > 0), sum(amount for amount in amounts if amount < 0), there)
        rows.append((each.isoformat(), str(len(amounts)), *(figure(amount, code) for amount in sums)))
    heads = ("Day", "Movements", f"In, {code}", f"Out, {code}", f"Balance, {code}")
    return sheet.table(heads, rows, total=_closing(account, (str(len(account.lines)), "")))


def _closing(account: CurrencyStatement, between: tuple[str, str]) -> tuple[str, ...]:
    return ("Closing balance", *between, "", figure(account.closing, account.currency))
