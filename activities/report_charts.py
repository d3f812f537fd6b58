"""The charts of reports: bars by reportlab, the words beside them set by our own typesetter, in any script.

Two colours that nobody confuses (Okabe and Ito), one dark and one light; every bar has its figure or a scale beside it.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from reportlab.graphics import renderPDF
from reportlab.graphics.charts.barcharts import BarChart, HorizontalBarChart, VerticalBarChart
from reportlab.graphics.shapes import Drawing
from reportlab.lib.colors import Color, HexColor
from reportlab.platypus import Flowable

from activities.document_page import QUIET, RULE
from activities.one_line import one_line
from activities.report_sheet import figure
from activities.typesetting import Style, Typesetter, advance
from models.money import places_of
from rules.report_figures import marks

FIRST, SECOND = HexColor("#0072b2"), HexColor("#e69f00")

_LABEL = Style(size=7.5, leading=10, color=QUIET)
_NAME = Style(size=8.5, leading=12)
_ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
_APART = 4
_PATCH = 7  # a legend's square


@dataclass(frozen=True)
class Series:
    """Values of one kind, in minor units, one for each step or thing."""

    name: str
    values: tuple[int, ...]
    color: Color


class _Chart(Flowable):  # type: ignore[misc]  # reportlab has no types
    """A chart as wide as its page."""

    def __init__(self, typesetter: Typesetter, labels: Sequence[str], series: Sequence[Series], currency: str) -> None:
        super().__init__()
        self.set, self.labels, self.series, self.currency = typesetter, labels, series, currency

    def legend(self, top: float) -> None:
        """What the colours stand for, and of which currency the values are."""
        x = 0.0
        for each in self.series:
            self.canv.setFillColor(each.color)
            self.canv.rect(x, top - _PATCH - 1, _PATCH, _PATCH, stroke=0, fill=1)
            name = f"{each.name}, {self.currency}"
            self.write(name, x + _PATCH + _APART, top - _PATCH, _LABEL)
            x += _PATCH + _APART + self.set.width(name, _LABEL) + 14

    def write(self, text: str, x: float, y: float, style: Style, share: float = 0.0) -> None:
        """One line at a place: to the right of it, or to the left by a share of its width."""
        line = self.set.lines(text, style, 10_000)[0]
        self.set.draw(self.canv, line, x - share * advance(line, style), y, style)

    def bars(self, chart: BarChart, scale: Sequence[int], width: float, height: float) -> None:
        """Draw the bars with a scale. Words are drawn by the caller."""
        chart.data = [list(each.values) for each in self.series]
        chart.strokeColor = chart.fillColor = None
        for place, each in enumerate(self.series):
            chart.bars[place].fillColor = each.color
            chart.bars[place].strokeColor = None
        axis = chart.valueAxis
        axis.valueMin, axis.valueMax, axis.valueSteps = scale[0], scale[-1], list(scale)
        axis.visibleLabels = axis.visibleTicks = axis.visibleAxis = 0
        axis.visibleGrid, axis.gridStrokeColor, axis.gridStrokeWidth = 1, RULE, 0.5
        steps = chart.categoryAxis
        steps.categoryNames = [""] * len(self.labels)
        steps.visibleLabels = steps.visibleTicks = 0
        steps.strokeColor, steps.strokeWidth = QUIET, 0.6
        drawing = Drawing(width, height)
        drawing.add(chart)
        renderPDF.draw(drawing, self.canv, 0, 0)


class StepChart(_Chart):
    """Bars that stand side by side for each day or month."""

    _HEIGHT, _FOOT, _HEAD = 170.0, 16.0, 16.0

    def wrap(self, available_width: float, available_height: float) -> tuple[float, float]:
        """Its size."""
        self.width, self.height = available_width, self._HEIGHT
        return self.width, self.height

    def draw(self) -> None:
        """Draw bars, scale and legend."""
        whole = 10 ** places_of(self.currency)
        values = [value for each in self.series for value in each.values]
        scale = marks(min(values, default=0), max(values, default=0), whole)
        names = [figure(mark, self.currency).split(".")[0] for mark in scale]
        left = max(self.set.width(name, _LABEL) for name in names) + 2 * _APART
        chart = VerticalBarChart()
        chart.x, chart.y = left, self._FOOT
        chart.width, chart.height = self.width - left, self.height - self._FOOT - self._HEAD
        chart.groupSpacing, chart.barSpacing, chart.barWidth = 5, 0, 10
        self.bars(chart, scale, self.width, self.height)
        for mark, name in zip(scale, names, strict=True):
            y = chart.y + chart.height * (mark - scale[0]) / (scale[-1] - scale[0])
            self.write(name, left - _APART, y - 2.5, _LABEL, share=1)
        each_takes = chart.width / len(self.labels)
        room = max(self.set.width(label, _LABEL) for label in self.labels) + 2 * _APART
        every = max(1, -(-int(room) // max(1, int(each_takes))))
        for place in range(0, len(self.labels), every):
            self.write(self.labels[place], left + (place + 0.5) * each_takes, 4, _LABEL, share=0.5)
        self.legend(self.height)


class RankChart(_Chart):
    """Lying bars for each thing, the largest on top, with what `notes` say of each at its end."""

    _EACH, _HEAD, _NAMES, _NOTES = 27.0, 16.0, 0.34, 0.2

    def __init__(
        self,
        typesetter: Typesetter,
        labels: Sequence[str],
        series: Sequence[Series],
        currency: str,
        notes: Sequence[str],
    ) -> None:
        super().__init__(typesetter, labels, series, currency)
        self.notes = notes

    def wrap(self, available_width: float, available_height: float) -> tuple[float, float]:
        """Its size."""
        self.width, self.height = available_width, self._EACH * len(self.labels) + self._HEAD
        return self.width, self.height

    def draw(self) -> None:
        """Draw names, bars and what is said of each."""
        left, right = self.width * self._NAMES, self.width * self._NOTES
        values = [value for each in self.series for value in each.values]
        chart = HorizontalBarChart()
        chart.x, chart.y = left, 0
        chart.width, chart.height = self.width - left - right, self._EACH * len(self.labels)
        chart.groupSpacing, chart.barSpacing, chart.barWidth = 6, 0, 8
        # reportlab counts from below.
        upward = [Series(each.name, each.values[::-1], each.color) for each in reversed(self.series)]
        shown, self.series = self.series, upward
        self.bars(chart, (min(0, *values), max(1, *values)), self.width, self.height)
        self.series = shown
        for place, (label, note) in enumerate(zip(self.labels, self.notes, strict=True)):
            middle = chart.height - (place + 0.5) * self._EACH - 3
            name = fitted(self.set, label, _NAME, left - 2 * _APART)
            self.write(name, 0, middle, _NAME)
            self.write(note, self.width, middle, _NAME, share=1)
        self.legend(self.height)


def fitted(typesetter: Typesetter, text: str, style: Style, room: float) -> str:
    """The text in one line that is no wider than `room` points: where it is too long, its beginning and an ellipsis.

    It is cut between whole characters, whatever they are made of.
    """
    line = one_line(text)
    if typesetter.width(line, style) <= room:
        return line
    fits, too_long = 0, len(line)
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if typesetter.width(line[:middle].rstrip() + _ELLIPSIS, style) <= room:
            fits = middle
        else:
            too_long = middle
    while fits > 0 and (_belongs_to_the_one_before(line[fits]) or line[fits - 1] == "\N{ZERO WIDTH JOINER}"):
        fits -= 1
    return line[:fits].rstrip() + _ELLIPSIS


def _belongs_to_the_one_before(character: str) -> bool:
    is_skin = 0x1F3FB <= ord(character) <= 0x1F3FF
    return is_skin or unicodedata.category(character) in {"Mn", "Me", "Mc", "Cf"}
