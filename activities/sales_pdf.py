"""The sales report as PDF."""

from collections.abc import Sequence
from datetime import date

from reportlab.platypus import Flowable

from activities.report_charts import FIRST, SECOND, RankChart, Series, StepChart
from activities.report_facts import CourseName
from activities.report_sheet import NOTHING, Sheet, figure
from activities.sales_report import CurrencySales, SalesReport, Sums
from rules.report_figures import largest, thousandths
from rules.report_periods import Span

_MOST_BARS = 8
_HEADS = ("Orders", "Places", "Gross", "Discounts", "Sales", "of which tax", "Refunds", "Net")
_NOTE = (
    "A sale is an order that was completed in these days, by the academy's clocks. Sales are what was"
    " charged, with tax; gross is that and the discounts given. Refunds count on the day on which they are asked of"
    " the bank, whenever the order was; one that comes back counts against them. Net is sales less refunds."
    " An order of several courses counts with each of them, and once in all."
)


def render_sales(report: SalesReport) -> bytes:
    """The report on A4, with all fonts embedded. The same figures give the same bytes."""
    sheet = Sheet.of(report.heading)
    story: list[Flowable] = []
    for told in report.currencies:
        story += _currency(sheet, told, report.heading.span)
    if not report.currencies:
        story += sheet.section("Nothing was sold or refunded in these days.")
    return sheet.pages([*story, *sheet.section("How it is counted", sheet.note(_NOTE))])


def step_name(step: date, span: Span) -> str:
    """A day or a month of the span, in words."""
    return f"{step:%Y-%m}" if span.is_by_month else f"{step:%Y-%m-%d}"


def _currency(sheet: Sheet, told: CurrencySales, span: Span) -> list[Flowable]:
    code = told.currency
    parts = [*sheet.currency(code), sheet.table(("", *_HEADS), [], total=("In all", *_cells(told.total, code)))]
    if len(told.steps) > 1:
        parts.append(sheet.together(f"Sales and refunds by {_unit(span)}", _by_step(sheet, told, span)))
    if told.total.sales or told.total.refunds:
        parts.append(sheet.together("Sales and refunds by course", _by_course(sheet, told)))
    if len(told.steps) > 1:
        # A day on which nothing happened is a gap of the chart, and no line.
        lines = [(step_name(step, span), sums) for step, sums in told.steps if any(sums.values)]
        parts += sheet.section(f"By {_unit(span)}", _table(sheet, _unit(span).capitalize(), lines, told))
    courses = [(_named(name), sums) for name, sums in told.courses]
    parts += sheet.section("By course", _table(sheet, "Course", courses, told))
    return parts + sheet.section("By category", _table(sheet, "Category", told.categories, told))


def _unit(span: Span) -> str:
    return "month" if span.is_by_month else "day"


def _named(name: CourseName) -> str:
    return f"{name.title} ({name.code})" if name.code else name.title


def _table(sheet: Sheet, head: str, lines: Sequence[tuple[str, Sums]], told: CurrencySales) -> Flowable:
    rows = [(name, *_cells(sums, told.currency)) for name, sums in lines]
    return sheet.table((head, *_HEADS), rows, total=("In all", *_cells(told.total, told.currency)))


def _cells(sums: Sums, currency: str) -> tuple[str, ...]:
    amounts = (sums.gross, sums.discounts, sums.sales, sums.tax, sums.refunds, sums.net)
    return (str(sums.orders), str(sums.places), *(figure(each, currency) if each else NOTHING for each in amounts))


def _by_step(sheet: Sheet, told: CurrencySales, span: Span) -> Flowable:
    labels = [f"{step:%b %Y}" if span.is_by_month else f"{step.day} {step:%b}" for step, _ in told.steps]
    series = (
        Series("Sales", tuple(sums.sales for _, sums in told.steps), FIRST),
        Series("Refunds", tuple(sums.refunds for _, sums in told.steps), SECOND),
    )
    return StepChart(sheet.set, labels, series, told.currency)


def _by_course(sheet: Sheet, told: CurrencySales) -> Flowable:
    first, rest = largest(told.courses, _MOST_BARS, lambda each: each[1].sales)
    lines = [(name.title, sums.sales, sums.refunds) for name, sums in first]
    if rest:
        others = f"{len(rest)} others"
        lines.append((others, sum(sums.sales for _, sums in rest), sum(sums.refunds for _, sums in rest)))
    series = (
        Series("Sales", tuple(sales for _, sales, _ in lines), FIRST),
        Series("Refunds", tuple(refunds for _, _, refunds in lines), SECOND),
    )
    shares = thousandths([sales for _, sales, _ in lines])
    notes = [
        f"{figure(sales, told.currency)} · {share / 10:.1f} %"
        for (_, sales, _), share in zip(lines, shares, strict=True)
    ]
    return RankChart(sheet.set, [name for name, _, _ in lines], series, told.currency, notes)
