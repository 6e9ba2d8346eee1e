"""The rows of a run, on the terminal and as the table in docs/reliability.md."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_ROW = re.compile(r"^\| (F.*?) \| (.*?) \| (.*?) \| (yes|\*\*no\*\*) \| `(\w+)` \|$", re.MULTILINE)
_BEGIN = "<!-- rows: scripts/faults writes what is between these two lines -->"
_END = "<!-- end of rows -->"


@dataclass(frozen=True, slots=True)
class Row:
    """One fault, what was done, what was seen, and whether the service held."""

    fault: str
    name: str
    done: str
    seen: str
    held: bool


def as_text(row: Row) -> str:
    """For a terminal."""
    verdict = "held" if row.held else "NOT HELD"
    return f"{row.fault:7} {verdict:8} {row.done}\n                 {row.seen}"


def keep(document: Path, rows: Sequence[Row]) -> None:
    """Put the rows in the table, in place of those of the same scenarios."""
    text = document.read_text()
    head, _, rest = text.partition(_BEGIN)
    old, _, tail = rest.partition(_END)
    known = {row.name: row for row in [*_read(old), *rows]}
    document.write_text(f"{head}{_BEGIN}\n{_table(list(known.values()))}\n{_END}{tail}")


def _read(text: str) -> list[Row]:
    return [
        Row(fault, name, done, seen, held == "yes")
        for fault, done, seen, held, name in _ROW.findall(text)
    ]


def _table(rows: Sequence[Row]) -> str:
    lines = ["| fault | what was done | what was seen | held | scenario |", "|---|---|---|---|---|"]
    for row in sorted(rows, key=lambda one: int(re.findall(r"\d+", one.fault)[0])):
        held = "yes" if row.held else "**no**"
        lines.append(f"| {row.fault} | {row.done} | {row.seen} | {held} | `{row.name}` |")
    return "\n".join(["", *lines, ""])
