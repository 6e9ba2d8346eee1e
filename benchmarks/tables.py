"""Formats tables and numbers as Markdown that is readable in a terminal too."""

from collections.abc import Sequence

from benchmarks.figures import Figure, Figures


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table with aligned columns. The first holds text, the others numbers."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    line = "|".join(
        "-" * (width + 1) + ("-" if column == 0 else ":") for column, width in enumerate(widths)
    )
    return [_row(head, widths), f"|{line}|", *(_row(row, widths) for row in rows), ""]


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [cells[0].ljust(widths[0])]
    padded += [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
    return f"| {' | '.join(padded)} |"


def number(value: float) -> str:
    if value != value:
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) >= 0.1 or value == 0 else f"{value:.3f}"


def with_range(figure: Figure) -> str:
    """The median, followed by the lowest and the highest round."""
    if figure.rounds < 2:
        return number(figure.median)
    return f"{number(figure.median)} ({number(figure.low)} to {number(figure.high)})"


def cell(figures: Figures, name: str, *, ranges: bool = True) -> str:
    if name not in figures:
        return "-"
    return with_range(figures[name]) if ranges else number(figures[name].median)
