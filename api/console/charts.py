"""Works out where the bars and lines of a chart lie; the templates draw them as inline SVG."""

from collections.abc import Sequence
from dataclasses import dataclass

from authentication.statistics import Overview, Span

WIDTH = 600
HEIGHT = 160
_GAP = 0.28

_LABEL_FORMATS = {Span.DAY: "%H:%M", Span.WEEK: "%-d %b", Span.MONTH: "%-d %b"}
_ROW_FORMATS = {Span.DAY: "%-d %b, %H:%M", Span.WEEK: "%-d %b, %H:%M", Span.MONTH: "%-d %b"}
_LABELS = 5


@dataclass(frozen=True, slots=True)
class Series:
    """One of the numbers in a chart: the field of a stretch, what it is called, and its colour."""

    field: str
    name: str
    colour: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle, in the units of the drawing."""

    x: float
    y: float
    width: float
    height: float
    colour: str


@dataclass(frozen=True, slots=True)
class Chart:
    """All that a template needs; `rows` are the same figures for who cannot see the picture."""

    name: str
    title: str
    series: Sequence[Series]
    top: int
    labels: list[str]
    rows: list[tuple[str, list[int]]]
    bars: list[Bar]
    line: str
    area: str

    def total(self, field: str) -> int:
        """The sum of a series; of what there is at each moment, what there was last."""
        place = [one.field for one in self.series].index(field)
        numbers = [numbers[place] for _, numbers in self.rows]
        return numbers[-1] if self.line else sum(numbers)

    @property
    def summary(self) -> str:
        """What the picture shows, for who cannot see it. The table below it has the rest."""
        totals = [f"{self.total(one.field)} {one.name}" for one in self.series]
        begin, end = self.rows[0][0], self.rows[-1][0]
        return f"{self.title} from {begin} to {end}: {', '.join(totals)}."

    @property
    def is_empty(self) -> bool:
        return not any(number for _, numbers in self.rows for number in numbers)


def stacked(name: str, title: str, overview: Overview, series: Sequence[Series]) -> Chart:
    """Bars, one for each stretch of time, with the series on top of each other."""
    rows = _rows(overview, series)
    top = _round_up(max(sum(numbers) for _, numbers in rows))
    step = WIDTH / len(rows)
    bars = []
    for index, (_, numbers) in enumerate(rows):
        base = float(HEIGHT)
        for one, number in zip(series, numbers, strict=True):
            height = HEIGHT * number / top
            base -= height
            if number:
                x = round((index + _GAP / 2) * step, 2)
                width = round(step * (1 - _GAP), 2)
                bars.append(Bar(x, round(base, 2), width, round(height, 2), one.colour))
    return Chart(name, title, series, top, _labels(overview), rows, bars, "", "")


def line(name: str, title: str, overview: Overview, series: Series) -> Chart:
    """A line with the area below it."""
    rows = _rows(overview, [series])
    top = _round_up(max(numbers[0] for _, numbers in rows))
    step = WIDTH / (len(rows) - 1)
    points = [
        f"{index * step:.2f},{HEIGHT - HEIGHT * numbers[0] / top:.2f}"
        for index, (_, numbers) in enumerate(rows)
    ]
    path = " ".join(points)
    area = f"0,{HEIGHT} {path} {WIDTH},{HEIGHT}"
    return Chart(name, title, [series], top, _labels(overview), rows, [], path, area)


def _rows(overview: Overview, series: Sequence[Series]) -> list[tuple[str, list[int]]]:
    form = _ROW_FORMATS[overview.span]
    return [
        (
            stretch.begins_at.strftime(form),
            [int(getattr(stretch, one.field)) for one in series],
        )
        for stretch in overview.stretches
    ]


def _labels(overview: Overview) -> list[str]:
    """A few of the times, evenly spread from the first to the last."""
    stretches = overview.stretches
    form = _LABEL_FORMATS[overview.span]
    last = len(stretches) - 1
    places = [round(last * place / (_LABELS - 1)) for place in range(_LABELS)]
    return [stretches[place].begins_at.strftime(form) for place in places]


def _round_up(number: int) -> int:
    """The top of the scale: the next number that is easy to read and to halve."""
    size = 1
    while True:
        for factor in (2, 4, 6, 10):
            if number <= factor * size:
                return factor * size
        size *= 10
