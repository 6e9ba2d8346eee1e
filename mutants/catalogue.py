"""Reads the catalogue of mutants: the TOML files of this folder, one for each area.

Each `[[mutant]]` of a file has the path of the `file` to change, the `text` in it, which occurs
exactly once, its `replacement`, the `tests` that must fail then, and in one sentence the `mistake`.
"""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent


class CatalogueError(Exception):
    """An entry that fits neither the catalogue nor the files that it names."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One mistake. `number` counts from 1 in its area."""

    area: str
    number: int
    file: str
    text: str
    replacement: str
    tests: tuple[str, ...]
    mistake: str

    @property
    def name(self) -> str:
        return f"{self.area}/{self.number}"

    def applied_to(self, source: str) -> str:
        """The source with the mistake. Raises CatalogueError unless the text is there once."""
        if (found := source.count(self.text)) != 1:
            raise CatalogueError(
                f"{self.name}: {self.file} has its text {found} times, and not once"
            )
        return source.replace(self.text, self.replacement)


def load(folder: Path = FOLDER) -> list[Mutant]:
    """All mutants, area by area. Raises CatalogueError for an entry with other fields."""
    return [one for path in sorted(folder.glob("*.toml")) for one in _read(path)]


def choose(mutants: list[Mutant], only: list[str]) -> list[Mutant]:
    """Those of the areas and with the names in `only`; all of them if it is empty."""
    return [one for one in mutants if not only or {one.area, one.name} & set(only)]


def _read(path: Path) -> Iterator[Mutant]:
    entries = tomllib.loads(path.read_text())["mutant"]
    for number, entry in enumerate(entries, start=1):
        try:
            yield Mutant(path.stem, number, **{**entry, "tests": tuple(entry["tests"])})
        except (KeyError, TypeError) as error:
            raise CatalogueError(f"{path.name}, {number}: {error}") from error
