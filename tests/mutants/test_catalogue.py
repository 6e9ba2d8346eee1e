"""Each mutant fits the files that it names, so that the catalogue follows the code."""

from collections import Counter
from pathlib import Path

import pytest

from harness.server import REPOSITORY
from mutants import catalogue
from mutants.catalogue import CatalogueError, Mutant

MUTANTS = catalogue.load()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_text_is_there_once_and_the_tests_exist(mutant: Mutant) -> None:
    source = (REPOSITORY / mutant.file).read_text()
    changed = mutant.applied_to(source)
    assert changed != source
    if mutant.file.endswith(".py"):
        # Every test would notice a program that is none.
        compile(changed, mutant.file, "exec")
    assert mutant.tests
    for test in mutant.tests:
        path, _, name = test.partition("::")
        assert path.startswith("tests/")
        assert (REPOSITORY / path).exists()
        assert not name or f"def {name.partition('[')[0]}(" in (REPOSITORY / path).read_text()


def test_each_mutant_is_a_mistake_of_its_own_in_one_sentence() -> None:
    made = Counter((mutant.file, mutant.text, mutant.replacement) for mutant in MUTANTS)
    assert max(made.values()) == 1
    for mutant in MUTANTS:
        assert mutant.mistake.count(".") == 1, mutant.name
        assert mutant.mistake.endswith("."), mutant.name
        # It becomes a cell of a table.
        assert "|" not in mutant.mistake, mutant.name


def test_areas_and_single_mutants_can_be_chosen() -> None:
    first, *_ = MUTANTS
    assert catalogue.choose(MUTANTS, []) == MUTANTS
    assert catalogue.choose(MUTANTS, [first.name]) == [first]
    assert {one.area for one in catalogue.choose(MUTANTS, [first.area])} == {first.area}
    assert catalogue.choose(MUTANTS, ["nowhere"]) == []


@pytest.mark.parametrize("line", ["", 'text = "a"\nnumber = 3'])
def test_an_entry_with_other_fields_is_an_error(tmp_path: Path, line: str) -> None:
    entry = '[[mutant]]\nfile = "a.py"\nreplacement = "b"\ntests = []\nmistake = "No."\n'
    (tmp_path / "area.toml").write_text(entry + line)
    with pytest.raises(CatalogueError, match=r"area\.toml, 1"):
        catalogue.load(tmp_path)
