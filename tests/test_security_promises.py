"""SECURITY.md names a test for every promise, and that test exists."""

import re

from harness.server import REPOSITORY

PROMISES = (REPOSITORY / "SECURITY.md").read_text()
ROWS = [line for line in PROMISES.splitlines() if line.startswith("| ") and "`test_" in line]


def every_test() -> set[str]:
    files = (REPOSITORY / "tests").rglob("test_*.py")
    found = (re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE) for path in files)
    return set().union(*found)


def test_every_test_that_is_named_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", PROMISES))
    assert named
    assert named <= every_test()


def test_every_threat_names_a_test() -> None:
    table = PROMISES.split("## Threats")[1].split("\n## ")[0]
    threats = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(threats) > 10
    assert set(threats) <= set(ROWS)
