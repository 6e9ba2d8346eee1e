"""Every command, statement and program in README.md and docs/ is run, and prints what is said."""

import re
import subprocess
from pathlib import Path

import psycopg2
import pytest

from harness.server import REPOSITORY
from tests.support import documentation
from tests.support.administrator import Sql
from tests.support.client import Client
from tests.support.documentation import COMMANDS, FENCE, NOT_RUN, OUTPUT
from tests.support.page_runner import PageRunner

# The others begin with a service, and an administrator of number 42 whose token is in $TOKEN.
FROM_NOTHING = {
    "README.md",
    "docs/tutorial.md",
    "docs/how-to/deployment.md",
    "docs/how-to/postgresql.md",
    "docs/how-to/inside-your-application.md",
}
# Of these, other tests run each command and each statement by itself.
TESTED_ELSEWHERE = {
    "docs/how-to/moving.md": "test_moving.py",
    "docs/reference/commands.md": "test_references.py",
}
# Go is not installed where the tests run.
CONFIGURATION = {"caddy", "yaml", "go"}
# One block is compiled and run by tests/clients/test_javascript.py; the other is an excerpt.
JAVASCRIPT = {"js", "ts"}

PAGES = [page for page in documentation.pages() if documentation.commands(page)]
RUNS = [
    pytest.param(page, database, id=f"{documentation.name_of(page)}-{database}")
    for page in PAGES
    for database in documentation.databases_of(page)
    if documentation.name_of(page) not in TESTED_ELSEWHERE
]


@pytest.mark.parametrize(("page", "database_url"), RUNS, indirect=["database_url"])
def test_a_page_does_what_it_says(page: Path, database_url: str, tmp_path: Path) -> None:
    begins_with_nothing = documentation.name_of(page) in FROM_NOTHING
    with PageRunner(tmp_path / "clone", database_url, from_nothing=begins_with_nothing) as runner:
        for block in documentation.commands(page):
            if block.is_for(runner.database):
                runner.run_block(block)


WITH_SQL = [
    page
    for page in PAGES
    if any(one.language == "sql" and not one.databases() for one in documentation.commands(page))
    and documentation.databases_of(page) == ["sqlite"]
]


@pytest.mark.parametrize("page", WITH_SQL, ids=documentation.name_of)
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_postgresql_understands_what_was_typed_into_sqlite(
    page: Path, client: Client, sql: Sql
) -> None:
    sql("ALTER SEQUENCE users_id_seq RESTART WITH 42")
    client.sign_up()
    blocks = [one.text for one in documentation.commands(page) if one.language == "sql"]
    # In one transaction, which is rolled back: tables that a page makes are not for other tests.
    with pytest.raises(psycopg2.errors.DivisionByZero):
        sql("".join(blocks) + "SELECT 1 / 0;")


def test_sql_within_a_sentence_stands_in_a_block_somewhere() -> None:
    text = "".join(one.text for page in PAGES for one in documentation.every_command(page))
    for page in documentation.pages():
        for said in re.findall(
            r"`((?:SELECT|UPDATE|DELETE FROM|INSERT INTO) [^`]+)`", page.read_text()
        ):
            assert said.rstrip(";") in text, f"{page.name}: {said}"


def test_nothing_that_could_be_run_hides_in_a_block_of_another_kind() -> None:
    typed = re.compile(
        r"\$ |#!|curl |python |psql |sqlite3 |scripts/"
        r"|SELECT |UPDATE \w+ SET|DELETE FROM|INSERT INTO"
    )
    for page in documentation.pages():
        found = FENCE.findall(page.read_text())
        opened = re.findall(r"^ *(?:```|~~~)(.*)$", page.read_text(), re.MULTILINE)[::2]
        assert opened == [language for language, _ in found], page
        assert set(opened) <= COMMANDS | OUTPUT | CONFIGURATION | JAVASCRIPT, page
        for language, text in found:
            hidden = [] if language in COMMANDS else list(filter(typed.match, text.splitlines()))
            assert hidden == [], page


def test_what_is_not_run_can_at_least_be_read_by_a_shell() -> None:
    skipped = [
        (documentation.name_of(page), block)
        for page in documentation.pages()
        for block in documentation.every_command(page)
        if documentation.is_exception(page, block)
    ]
    for _, block in skipped:
        if block.language == "sh":
            subprocess.run(["bash", "-n"], input=block.text, text=True, check=True)
    for name, beginning in NOT_RUN:
        assert any(page == name and block.text.startswith(beginning) for page, block in skipped)


def pages_with_links() -> list[Path]:
    names = ("CONTRIBUTING.md", "CHANGELOG.md", "RELEASING.md", "SECURITY.md")
    return [*documentation.pages(), *(REPOSITORY / name for name in names)]


def test_the_page_for_users_names_what_is_there_to_press() -> None:
    page = (REPOSITORY / "docs/how-to/your-account.md").read_text()
    named = {" ".join(name.split()) for name in re.findall(r"\*\*(.+?)\*\*", page, re.DOTALL)}
    folders = [REPOSITORY / "api/pages/templates", REPOSITORY / "api/web/templates"]
    templates = "".join(one.read_text() for folder in folders for one in folder.rglob("*.html"))
    missing = [
        name for name in named if not re.search(rf'_\("{re.escape(name)}[^"]*"\)', templates)
    ]
    assert missing == []
    assert len(named) > 10


def test_every_link_leads_to_a_file_and_to_a_heading_in_it() -> None:
    for page in pages_with_links():
        for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", page.read_text()):
            file = page.parent / target if target else page
            assert file.exists(), f"{page.name} links to {target}"
            assert not anchor or anchor in anchors(file), f"{page.name} links to {target}#{anchor}"


def anchors(page: Path) -> set[str]:
    """The headings of a page, as an address has them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    words = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {word.replace(" ", "-") for word in words}


def test_every_page_can_be_reached_from_the_index() -> None:
    index = REPOSITORY / "docs" / "README.md"
    linked = {
        (index.parent / link).resolve() for link in re.findall(r"\]\(([^)#]+)", index.read_text())
    }
    decisions = (REPOSITORY / "docs" / "decisions").glob("0*.md")
    assert set(documentation.pages()) - linked - set(decisions) <= {index, REPOSITORY / "README.md"}
