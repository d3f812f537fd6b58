"""The finance report as PDF."""

from collections.abc import Sequence

from reportlab.platypus import Flowable

from activities.finance_report import Counted, CurrencyFinance, FinanceReport
from activities.report_charts import FIRST, SECOND, Series, StepChart
from activities.report_sheet import Sheet, figure, words
from activities.statement_pdf import tie_rows

_MOST_INVOICES = 25
_NOTE = (
    "Money counts on the day on which it was written down, by the academy's clocks; a refund that comes to nothing"
    " counts again on the day on which that is known, and disputed money once the dispute is lost. Stripe's own lines"
    " are those that have been read from it so far, in the currency of the account's balance: payouts are money on its"
    " way to the academy's bank. Invoices, tasks and findings are as they stand at the state of the record."
)


def render_finance(report: FinanceReport) -> bytes:
    """The report on A4, with all fonts embedded. The same figures give the same bytes."""
    sheet = Sheet.of(report.heading)
    story: list[Flowable] = []
    for told in report.currencies:
        story += _currency(sheet, told)
    if not report.currencies:
        story += sheet.section("No money moved in these days, and nothing is owed.")
    tasks = [(words(each.kind), each.queue, str(each.count), str(each.overdue)) for each in report.tasks]
    total = (
        "In all",
        "",
        str(sum(each.count for each in report.tasks)),
        str(sum(each.overdue for each in report.tasks)),
    )
    story += sheet.section(
        "Open tasks",
        sheet.table(("Task", "For", "Open", "Overdue"), tasks, texts=2, total=total) if tasks else sheet.note("None."),
    )
    findings = [(words(kind), str(count)) for kind, count in report.findings]
    story += sheet.section(
        "Open findings", sheet.table(("Finding", "Open"), findings) if findings else sheet.note("None.")
    )
    return sheet.pages([*story, *sheet.section("How it is counted", sheet.note(_NOTE))])


def _currency(sheet: Sheet, told: CurrencyFinance) -> list[Flowable]:
    code = told.currency
    parts = [*sheet.currency(code), _summary(sheet, told)]
    if len(told.days) > 1 and any(came or went for came, went in told.days.values()):
        parts.append(sheet.together("What came in and what went back", _by_step(sheet, told)))
    for title, lines in (
        ("Payments by method", told.received),
        ("Refunds by reason", told.refunded),
        ("Refunds that came back", told.returned),
        ("Disputes", told.disputed),
    ):
        if lines:
            parts.append(sheet.together(title, _counted(sheet, lines, code, has_total=title != "Disputes")))
    if told.fees:
        parts.append(sheet.together("Stripe's own lines", _fees(sheet, told)))
    if told.invoices:
        parts.append(sheet.together("Open invoices by age", _counted(sheet, told.aged(), code)))
        parts += _late_invoices(sheet, told)
    bridge = told.bridge
    rows = [
        ("Sales of these days", figure(bridge.sales, code)),
        ("of which not received in these days", figure(-bridge.not_received, code)),
        ("Received for other orders", figure(bridge.for_others, code)),
    ]
    total = ("Received", figure(bridge.received, code))
    parts.append(sheet.together("From sales to money", sheet.table(("", f"Amount, {code}"), rows, total=total)))
    ties = sheet.table(("", f"Amount, {code}"), tie_rows(told.tie, code))
    return [*parts, sheet.together("Ties to the record", ties)]


def _summary(sheet: Sheet, told: CurrencyFinance) -> Flowable:
    code = told.currency
    came, went = (sum(each[place] for each in told.days.values()) for place in (0, 1))
    lost = went - told.refunded_amount
    rows = [("Received", figure(came, code)), ("Refunded", figure(-told.refunded_amount, code))]
    rows += [("Lost in disputes", figure(-lost, code))]
    return sheet.table(("", f"Amount, {code}"), rows, total=("Net", figure(came - went, code)))


def _by_step(sheet: Sheet, told: CurrencyFinance) -> Flowable:
    span = sheet.heading.span
    labels = [f"{step:%b %Y}" if span.is_by_month else f"{step:%a} {step.day} {step:%b}" for step in told.days]
    series = (
        Series("Received", tuple(came for came, _ in told.days.values()), FIRST),
        Series("Went back", tuple(went for _, went in told.days.values()), SECOND),
    )
    return StepChart(sheet.set, labels, series, told.currency)


def _counted(sheet: Sheet, lines: Sequence[Counted], currency: str, *, has_total: bool = True) -> Flowable:
    rows = [(words(each.name), str(each.count), figure(each.amount, currency)) for each in lines]
    total = ("In all", str(sum(each.count for each in lines)), figure(sum(each.amount for each in lines), currency))
    return sheet.table(("", "Count", f"Amount, {currency}"), rows, total=total if has_total else None)


def _fees(sheet: Sheet, told: CurrencyFinance) -> Flowable:
    code = told.currency
    rows = [
        (words(each.type), str(each.count), *(figure(amount, code) for amount in (each.gross, each.fee, each.net)))
        for each in told.fees
    ]
    sums = [sum(amounts) for amounts in zip(*((each.gross, each.fee, each.net) for each in told.fees), strict=True)]
    total = ("In all", str(sum(each.count for each in told.fees)), *(figure(each, code) for each in sums))
    return sheet.table(("", "Count", f"Gross, {code}", f"Fee, {code}", f"Net, {code}"), rows, total=total)


def _late_invoices(sheet: Sheet, told: CurrencyFinance) -> list[Flowable]:
    late = [each for each in told.invoices if each.days_late > 0]
    if not late:
        return []
    code = told.currency
    rows = [
        (each.number or "", each.order_number, each.due_on.isoformat(), str(each.days_late), figure(each.owed, code))
        for each in late[:_MOST_INVOICES]
    ]
    more = len(late) - len(rows)
    note = [sheet.note(f"The workbook has {more} more.")] if more else []
    heads = ("Invoice", "Order", "Due on", "Days late", f"Owed, {code}")
    return sheet.section("Overdue invoices, the oldest first", sheet.table(heads, rows, texts=3), *note)
