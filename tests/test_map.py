"""The map in CONTRIBUTING leads to files that are there, so that a newcomer finds them at once."""

import re

import pytest

from harness.server import REPOSITORY

TEXT = (REPOSITORY / "CONTRIBUTING.md").read_text()
ROWS = re.findall(r"^\| ([^|]+\?) \| ([^|]+) \|$", TEXT, re.MULTILINE)


def test_the_map_answers_at_least_twenty_questions() -> None:
    assert len(ROWS) >= 20
    assert len({question for question, _ in ROWS}) == len(ROWS)


@pytest.mark.parametrize(("question", "answer"), ROWS)
def test_each_answer_names_a_file_or_a_folder_that_is_there(question: str, answer: str) -> None:
    paths = re.findall(r"`([^`]+)`", answer)
    assert paths, question
    for path in paths:
        found = REPOSITORY / path
        assert found.is_dir() if path.endswith("/") else found.is_file(), (question, path)
