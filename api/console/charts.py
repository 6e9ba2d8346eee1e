"""Works out where the bars and lines of a chart lie; the templates draw them as inline SVG."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from authentication.administration.statistics import Overview, Span
from authentication.settings import DAY

# Bars and lines are drawn in these units and stretched; words stand beside them at a percentage.
WIDTH = 600
HEIGHT = 160
_GAP = 0.28

_LABEL_FORMATS = {Span.DAY: "%H:%M", Span.WEEK: "%-d %b", Span.MONTH: "%-d %b"}
_ROW_FORMATS = {Span.DAY: "%-d %b, %H:%M", Span.WEEK: "%-d %b, %H:%M", Span.MONTH: "%-d %b"}
# How many seconds lie between two labels.
_LABEL_STEPS = {Span.DAY: 3 * 3600, Span.WEEK: DAY, Span.MONTH: 5 * DAY}
_UNITS = {Span.DAY: "per hour", Span.WEEK: "per 6 hours", Span.MONTH: "per day"}


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
class Label:
    """A time, at so many percent of the width. A narrow screen has no room for every other one."""

    x: float
    text: str
    is_spare: bool


@dataclass(frozen=True, slots=True)
class Chart:
    """All that a template needs; `rows` are the same figures for who cannot see the picture.

    Without rows, the figures were not counted in time.
    """

    name: str
    title: str
    series: Sequence[Series]
    unit: str = ""
    top: int = 0
    labels: Sequence[Label] = ()
    rows: Sequence[tuple[str, list[int]]] = ()
    bars: Sequence[Bar] = ()
    line: str = ""
    area: str = ""

    @property
    def scale(self) -> list[tuple[int, int]]:
        """Three numbers, each with how many percent below the top of the picture it belongs."""
        return [(0, self.top), (50, self.top // 2), (100, 0)]

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
    if not (rows := _rows(overview, series)):
        return Chart(name, title, series)
    top = _round_up(max(sum(numbers) for _, numbers in rows))
    bars = [
        bar
        for place, (_, numbers) in enumerate(rows)
        for bar in _stack(place, len(rows), numbers, top, series)
    ]
    unit = _UNITS[overview.span]
    return Chart(name, title, series, unit, top, _labels(overview), rows, bars)


def _stack(
    place: int, places: int, numbers: Sequence[int], top: int, series: Sequence[Series]
) -> Iterator[Bar]:
    step, base = WIDTH / places, float(HEIGHT)
    x, width = round((place + _GAP / 2) * step, 2), round(step * (1 - _GAP), 2)
    for one, number in zip(series, numbers, strict=True):
        height = HEIGHT * number / top
        base -= height
        if number:
            yield Bar(x, round(base, 2), width, round(height, 2), one.colour)


def line(name: str, title: str, overview: Overview, series: Series) -> Chart:
    """A line with the area below it."""
    if not (rows := _rows(overview, [series])):
        return Chart(name, title, [series])
    top = _round_up(max(numbers[0] for _, numbers in rows))
    step = WIDTH / len(rows)
    points = [
        f"{(place + 0.5) * step:.2f},{HEIGHT - HEIGHT * numbers[0] / top:.2f}"
        for place, (_, numbers) in enumerate(rows)
    ]
    path = " ".join(points)
    area = f"{step / 2:.2f},{HEIGHT} {path} {WIDTH - step / 2:.2f},{HEIGHT}"
    return Chart(name, title, [series], "", top, _labels(overview), rows, [], path, area)


def _rows(overview: Overview, series: Sequence[Series]) -> list[tuple[str, list[int]]]:
    """The figures; none at all if one of them is missing."""
    if any(overview.total(one.field) is None for one in series):
        return []
    form = _ROW_FORMATS[overview.span]
    return [
        (
            stretch.begins_at.strftime(form),
            [int(getattr(stretch, one.field)) for one in series],
        )
        for stretch in overview.stretches
    ]


def _labels(overview: Overview) -> list[Label]:
    """Below the middle of some stretches: those that begin at a round time."""
    step, form = _LABEL_STEPS[overview.span], _LABEL_FORMATS[overview.span]
    labels = []
    for place, stretch in enumerate(overview.stretches):
        number, rest = divmod(int(stretch.begins_at.timestamp()), step)
        if rest == 0:
            x = round(100 * (place + 0.5) / len(overview.stretches), 2)
            labels.append(Label(x, stretch.begins_at.strftime(form), number % 2 == 1))
    return labels


def _round_up(number: int) -> int:
    """The top of the scale: the next number that is easy to read and to halve."""
    size = 1
    while True:
        for factor in (2, 4, 6, 10):
            if number <= factor * size:
                return factor * size
        size *= 10
