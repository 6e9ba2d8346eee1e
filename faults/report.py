"""Formats the results of scenarios for a terminal and for the table in docs/reliability.md."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_ROW = re.compile(r"^\| (F.*?) \| (.*?) \| (.*?) \| (yes|\*\*no\*\*) \| `(\w+)` \|$", re.MULTILINE)
_BEGIN = "<!-- rows: scripts/faults writes what is between these two lines -->"
_END = "<!-- end of rows -->"


@dataclass(frozen=True, slots=True)
class Row:
    """The result of a scenario, as a row of the table."""

    fault: str
    name: str
    description: str
    figures: str
    held: bool


def as_text(row: Row) -> str:
    """A row as two lines for a terminal."""
    verdict = "held" if row.held else "NOT HELD"
    return f"{row.fault:7} {verdict:8} {row.description}\n                 {row.figures}"


def update_page(document: Path, rows: Sequence[Row]) -> None:
    """Write the rows to the table, in place of those of the same scenarios."""
    text = document.read_text()
    head, _, rest = text.partition(_BEGIN)
    old, _, tail = rest.partition(_END)
    known = {row.name: row for row in [*_read(old), *rows]}
    document.write_text(f"{head}{_BEGIN}\n{_table(list(known.values()))}\n{_END}{tail}")


def _read(text: str) -> list[Row]:
    return [
        Row(fault, name, description, figures, held == "yes")
        for fault, description, figures, held, name in _ROW.findall(text)
    ]


def _table(rows: Sequence[Row]) -> str:
    lines = ["| fault | what was done | what was seen | held | scenario |", "|---|---|---|---|---|"]
    for row in sorted(rows, key=lambda one: int(re.findall(r"\d+", one.fault)[0])):
        held = "yes" if row.held else "**no**"
        lines.append(f"| {row.fault} | {row.description} | {row.figures} | {held} | `{row.name}` |")
    return "\n".join(["", *lines, ""])
