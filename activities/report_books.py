"""The reports as workbooks: the same figures as on paper, as numbers to go on with."""

from collections.abc import Iterator

from activities.finance_report import FinanceReport
from activities.report_sheet import words
from activities.report_workbook import Amount, Drawn, Head, Percent, ReportBook, Value
from activities.sales_report import SalesReport, Sums
from activities.statement import Statement
from activities.statement_pdf import balances
from rules.report_figures import thousandths

_CURRENCY = Head("Currency", 10)
_SUMS = (
    *(Head("Orders", 9), Head("Places", 9), Head("Gross"), Head("Discounts"), Head("Sales"), Head("of which tax")),
    *(Head("Refunds"), Head("Net")),
)
_SALES, _REFUNDS = 7, 9  # columns of the sheets of sales, from 1
_BARS = ((_SALES, "Sales"), (_REFUNDS, "Refunds"))
_MOST_BARS = 12


def sales_book(report: SalesReport) -> bytes:
    """The sales report as a workbook (XLSX), with charts by day and by course."""
    book, span = ReportBook(report.heading), report.heading.span
    told = report.currencies
    totals = [("In all", each.currency, *_cells(each.total, each.currency)) for each in told]
    unit = "Month" if span.is_by_month else "Day"
    steps = [(step, each.currency, *_cells(sums, each.currency)) for each in told for step, sums in each.steps]
    by_step = book.sheet(f"By {unit.lower()}", (Head(unit), _CURRENCY, *_SUMS), steps, totals)
    courses = [
        (name.title, each.currency, *_cells(sums, each.currency), name.code, name.category, Percent(share))
        for each in told
        for (name, sums), share in zip(each.courses, thousandths([sums.sales for _, sums in each.courses]), strict=True)
    ]
    heads = (Head("Course", 44), _CURRENCY, *_SUMS, Head("Code", 18), Head("Category", 18), Head("Share", 9))
    by_course = book.sheet("By course", heads, courses, totals)
    categories = [
        (name, each.currency, *_cells(sums, each.currency)) for each in told for name, sums in each.categories
    ]
    book.sheet("By category", (Head("Category", 30), _CURRENCY, *_SUMS), categories, totals)
    drawn, row = [], 2
    for each in told:
        last = row + len(each.steps) - 1
        drawn.append(Drawn(f"Sales and refunds by {unit.lower()}", each.currency, row, last, 1, _BARS))
        row = last + 1
    if span.first != span.last:
        book.charts(f"Chart by {unit.lower()}", by_step, drawn)
    drawn, row = [], 2
    for each in told:
        last = row + len(each.courses) - 1
        shown = min(last, row + _MOST_BARS - 1)
        drawn.append(Drawn("Sales and refunds by course", each.currency, row, shown, 1, _BARS, is_lying=True))
        row = last + 1
    book.charts("Chart by course", by_course, drawn)
    book.about(
        ("Gross", "sales and the discounts given on them"),
        ("Sales", "what was charged for orders that were completed in these days"),
        ("Refunds", "what was given back in these days, whenever the order was, less what came back of it"),
        ("Net", "sales less refunds"),
    )
    return book.saved()


def finance_book(report: FinanceReport) -> bytes:
    """The finance report as a workbook (XLSX), with a chart by day."""
    book, told = ReportBook(report.heading), report.currencies
    rows: list[tuple[Value, ...]] = []
    for each in told:
        code = each.currency
        sorts = (
            *(("Payments", each.received, 1), ("Refunds", each.refunded, -1)),
            *(("Refunds that came back", each.returned, 1), ("Disputes", each.disputed, 1)),
        )
        rows += [
            (sort, words(line.name), code, line.count, Amount(sign * line.amount, code))
            for sort, lines, sign in sorts
            for line in lines
        ]
    heads: tuple[Head, ...] = (Head("What", 26), Head("By", 26), _CURRENCY, Head("Count", 9), Head("Amount"))
    book.sheet("Money", heads, rows)
    days = [
        (
            day,
            each.currency,
            Amount(came, each.currency),
            Amount(went, each.currency),
            Amount(came - went, each.currency),
        )
        for each in told
        for day, (came, went) in each.days.items()
    ]
    heads = (Head("Day"), _CURRENCY, Head("Received"), Head("Went back"), Head("Net"))
    by_day = book.sheet("By day", heads, days)
    drawn, row = [], 2
    for each in told:
        bars = ((3, "Received"), (4, "Went back"))
        drawn.append(Drawn("What came in and what went back", each.currency, row, row + len(each.days) - 1, 1, bars))
        row += len(each.days)
    book.charts("Chart by day", by_day, drawn)
    fees: list[tuple[Value, ...]] = [
        (
            words(line.type),
            each.currency,
            line.count,
            *(Amount(a, each.currency) for a in (line.gross, line.fee, line.net)),
        )
        for each in told
        for line in each.fees
    ]
    heads = (Head("Type", 26), _CURRENCY, Head("Count", 9), Head("Gross"), Head("Fee"), Head("Net"))
    book.sheet("Stripe", heads, fees)
    invoices = [
        (invoice.number, invoice.order_number, invoice.due_on, max(invoice.days_late, 0), each.currency,
         Amount(invoice.amount, each.currency), Amount(invoice.owed, each.currency))
        for each in told
        for invoice in each.invoices
    ]  # fmt: skip
    heads = (Head("Invoice", 18), Head("Order", 18), Head("Due on"), Head("Days late", 10), _CURRENCY,
             Head("Amount"), Head("Owed"))  # fmt: skip
    book.sheet("Open invoices", heads, invoices)
    open_things: list[tuple[Value, ...]] = [
        ("Task", words(task.kind), task.queue, task.count, task.overdue) for task in report.tasks
    ]
    open_things += [("Finding", words(kind), None, count, None) for kind, count in report.findings]
    heads = (Head("What", 12), Head("Kind", 34), Head("For", 12), Head("Open", 9), Head("Overdue", 9))
    book.sheet("Tasks and findings", heads, open_things)
    bridges = [
        (name, each.currency, Amount(amount, each.currency))
        for each in told
        for name, amount in (
            ("Sales of these days", each.bridge.sales),
            ("of which not received in these days", -each.bridge.not_received),
            ("Received for other orders", each.bridge.for_others),
            ("Received", each.bridge.received),
            ("All movements until the state of the record", each.tie.by_movements),
            ("Payments, refunds and lost disputes as they stand", each.tie.by_record),
            ("Difference", each.tie.difference),
        )
    ]
    book.sheet("Ties", (Head("What", 50), _CURRENCY, Head("Amount")), bridges)
    book.about()
    return book.saved()


def statement_book(statement: Statement) -> bytes:
    """The statement of account as a workbook (XLSX): a line for each movement, with the balance after it."""
    book, told = ReportBook(statement.heading), statement.currencies

    def lines() -> Iterator[tuple[Value, ...]]:
        for account in told:
            code = account.currency
            for line, there in balances(account):
                yield (
                    *(
                        line.at,
                        words(line.kind),
                        line.order_number,
                        words(line.method),
                        words(line.reason or ""),
                        line.reference,
                    ),
                    *(line.received_on, code, Amount(line.amount, code), Amount(there, code)),
                )

    heads = (Head("When", 20), Head("Movement", 20), Head("Order", 18), Head("By", 16), Head("Reason", 20),
             Head("Reference", 34), Head("Received on"), _CURRENCY, Head("Amount"), Head("Balance"))  # fmt: skip
    book.sheet("Movements", heads, lines())
    rows: list[tuple[Value, ...]] = []
    for account in told:
        code, tie = account.currency, account.tie
        rows.append(("Opening balance", code, None, Amount(account.opening, code)))
        rows += [(words(kind), code, count, Amount(sum_, code)) for kind, (count, sum_) in account.by_kind.items()]
        rows.append(("Closing balance", code, len(account.lines), Amount(account.closing, code)))
        rows.append(("All movements until the state of the record", code, None, Amount(tie.by_movements, code)))
        rows.append(("Payments, refunds and lost disputes as they stand", code, None, Amount(tie.by_record, code)))
        rows.append(("Difference", code, None, Amount(tie.difference, code)))
    book.sheet("Balances", (Head("What", 50), _CURRENCY, Head("Movements", 11), Head("Amount")), rows)
    book.about()
    return book.saved()


def _cells(sums: Sums, currency: str) -> tuple[Value, ...]:
    amounts = (sums.gross, sums.discounts, sums.sales, sums.tax, sums.refunds, sums.net)
    return (sums.orders, sums.places, *(Amount(each, currency) for each in amounts))
