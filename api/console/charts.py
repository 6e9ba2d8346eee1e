"""Computes the geometry of the charts, which the templates draw as inline SVG."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from authentication.administration.statistics import Overview, Period
from authentication.settings import DAY

# The size of the view box. The browser stretches it, so text is placed outside it, in percent.
WIDTH = 600
HEIGHT = 160
_GAP = 0.28

_LABEL_FORMATS = {Period.DAY: "%H:%M", Period.WEEK: "%-d %b", Period.MONTH: "%-d %b"}
_ROW_FORMATS = {Period.DAY: "%-d %b, %H:%M", Period.WEEK: "%-d %b, %H:%M", Period.MONTH: "%-d %b"}
# Seconds between two labels of the time axis.
_LABEL_STEPS = {Period.DAY: 3 * 3600, Period.WEEK: DAY, Period.MONTH: 5 * DAY}
_UNITS = {Period.DAY: "per hour", Period.WEEK: "per 6 hours", Period.MONTH: "per day"}


@dataclass(frozen=True, slots=True)
class Series:
    """One line of figures: the attribute of TimeBucket, its name in the legend, and its colour."""

    attribute: str
    name: str
    colour: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle, in units of the view box."""

    x: float
    y: float
    width: float
    height: float
    colour: str


@dataclass(frozen=True, slots=True)
class Label:
    """A time below the chart. `x` is in percent; narrow screens leave out the optional labels."""

    x: float
    text: str
    is_optional: bool


@dataclass(frozen=True, slots=True)
class Chart:
    """What a template needs. `rows` are the same figures as a table, for screen readers.

    A chart without rows stands for figures that could not be counted within the deadline.
    """

    name: str
    title: str
    series: Sequence[Series]
    unit: str = ""
    maximum: int = 0
    labels: Sequence[Label] = ()
    rows: Sequence[tuple[str, list[int]]] = ()
    bars: Sequence[Bar] = ()
    line: str = ""
    area: str = ""

    @property
    def scale(self) -> list[tuple[int, int]]:
        """The numbers of the vertical axis, each with its distance from the top in percent."""
        return [(0, self.maximum), (50, self.maximum // 2), (100, 0)]

    def total(self, series: Series) -> int:
        """The sum of a series in a bar chart; its latest value in a line chart."""
        index = self.series.index(series)
        numbers = [numbers[index] for _, numbers in self.rows]
        return numbers[-1] if self.line else sum(numbers)

    @property
    def summary(self) -> str:
        """The chart in one sentence, for screen readers. The table below it has the details."""
        totals = [f"{self.total(series)} {series.name}" for series in self.series]
        begin, end = self.rows[0][0], self.rows[-1][0]
        return f"{self.title} from {begin} to {end}: {', '.join(totals)}."

    @property
    def is_empty(self) -> bool:
        return not any(number for _, numbers in self.rows for number in numbers)


def stacked(name: str, title: str, overview: Overview, series: Sequence[Series]) -> Chart:
    """A bar chart with one bar per time bucket, in which the series are stacked."""
    if not (rows := _rows(overview, series)):
        return Chart(name, title, series)
    maximum = _round_up(max(sum(numbers) for _, numbers in rows))
    bars = [
        bar
        for index, (_, numbers) in enumerate(rows)
        for bar in _stack(index, len(rows), numbers, maximum, series)
    ]
    unit = _UNITS[overview.period]
    return Chart(name, title, series, unit, maximum, _labels(overview), rows, bars)


def _stack(
    index: int, length: int, numbers: Sequence[int], maximum: int, series: Sequence[Series]
) -> Iterator[Bar]:
    step, base = WIDTH / length, float(HEIGHT)
    x, width = round((index + _GAP / 2) * step, 2), round(step * (1 - _GAP), 2)
    for one, number in zip(series, numbers, strict=True):
        height = HEIGHT * number / maximum
        base -= height
        if number:
            yield Bar(x, round(base, 2), width, round(height, 2), one.colour)


def line(name: str, title: str, overview: Overview, series: Series) -> Chart:
    """A line chart of one series, with the area below the line filled."""
    if not (rows := _rows(overview, [series])):
        return Chart(name, title, [series])
    maximum = _round_up(max(numbers[0] for _, numbers in rows))
    step = WIDTH / len(rows)
    points = [
        f"{(index + 0.5) * step:.2f},{HEIGHT - HEIGHT * numbers[0] / maximum:.2f}"
        for index, (_, numbers) in enumerate(rows)
    ]
    path = " ".join(points)
    area = f"{step / 2:.2f},{HEIGHT} {path} {WIDTH - step / 2:.2f},{HEIGHT}"
    return Chart(name, title, [series], "", maximum, _labels(overview), rows, [], path, area)


def _rows(overview: Overview, series: Sequence[Series]) -> list[tuple[str, list[int]]]:
    """The figures of all buckets, or none at all if one series has not been counted."""
    if any(overview.total(one.attribute) is None for one in series):
        return []
    form = _ROW_FORMATS[overview.period]
    return [
        (bucket.begins_at.strftime(form), [int(getattr(bucket, one.attribute)) for one in series])
        for bucket in overview.buckets
    ]


def _labels(overview: Overview) -> list[Label]:
    """One label below the middle of each bucket that begins at a round time."""
    step, form = _LABEL_STEPS[overview.period], _LABEL_FORMATS[overview.period]
    labels = []
    for index, bucket in enumerate(overview.buckets):
        number, rest = divmod(int(bucket.begins_at.timestamp()), step)
        if rest == 0:
            x = round(100 * (index + 0.5) / len(overview.buckets), 2)
            labels.append(Label(x, bucket.begins_at.strftime(form), number % 2 == 1))
    return labels


def _round_up(number: int) -> int:
    """The maximum of the scale: the next number of 2, 4, 6 or 10 times a power of ten."""
    size = 1
    while True:
        for factor in (2, 4, 6, 10):
            if number <= factor * size:
                return factor * size
        size *= 10
