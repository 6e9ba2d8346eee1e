"""Formats verdicts for a terminal and for the table of docs/reliability.md."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mutants.catalogue import Mutant
from mutants.runner import Verdict

_ROW = re.compile(r"^\| (\w[\w-]*) \| (\d+) \| (\d+) \| \d+ % \| (.*) \|$", re.MULTILINE)
_BEGIN = "<!-- mutants: scripts/mutants --write writes what is between these two lines -->"
_END = "<!-- end of mutants -->"
_NO_SURVIVORS = "none"


@dataclass(frozen=True, slots=True)
class Row:
    """How many mutants an area has, how many were killed, and what the others are."""

    area: str
    mutants: int
    killed: int
    survivors: str


def as_text(mutant: Mutant, verdict: Verdict) -> str:
    """A verdict as one line for a terminal."""
    return f"{verdict.value:6} {mutant.name:16} {mutant.mistake}"


def rows(verdicts: Mapping[Mutant, Verdict]) -> list[Row]:
    """One row for each area, in alphabetical order."""
    return [_row(area, verdicts) for area in sorted({one.area for one in verdicts})]


def rate(found: list[Row]) -> float:
    """The share of killed mutants, from 0 to 1."""
    return sum(row.killed for row in found) / sum(row.mutants for row in found)


def update_page(document: Path, found: list[Row]) -> None:
    """Write the rows to the table, in place of those of the same areas."""
    text = document.read_text()
    head, _, rest = text.partition(_BEGIN)
    old, _, tail = rest.partition(_END)
    known = {row.area: row for row in [*_read(old), *found]}
    table = _table([known[area] for area in sorted(known)])
    document.write_text(f"{head}{_BEGIN}\n\n{table}\n\n{_END}{tail}")


def _row(area: str, verdicts: Mapping[Mutant, Verdict]) -> Row:
    own = {one: verdict for one, verdict in verdicts.items() if one.area == area}
    lived = [one for one, verdict in own.items() if verdict is Verdict.LIVED]
    survivors = " ".join(f"{one.number}: {one.mistake}" for one in lived) or _NO_SURVIVORS
    return Row(area, len(own), len(own) - len(lived), survivors)


def _read(table: str) -> list[Row]:
    return [
        Row(area, int(mutants), int(killed), survivors)
        for area, mutants, killed, survivors in _ROW.findall(table)
    ]


def _table(found: list[Row]) -> str:
    mutants, killed = sum(row.mutants for row in found), sum(row.killed for row in found)
    lines = [
        f"{killed} of {mutants} mutants were killed, {_percent(killed, mutants)}.",
        "",
        "| area | mutants | killed | rate | survivors |",
        "|---|---|---|---|---|",
    ]
    for row in found:
        share = _percent(row.killed, row.mutants)
        lines.append(f"| {row.area} | {row.mutants} | {row.killed} | {share} | {row.survivors} |")
    return "\n".join(lines)


def _percent(part: int, whole: int) -> str:
    return f"{100 * part // whole} %"
