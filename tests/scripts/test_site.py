"""The documentation site is built strictly, and links work on it as they do on GitHub."""

import re
import subprocess
from pathlib import Path

import pytest

from harness.programs import require_mkdocs
from harness.server import REPOSITORY

# The settings of the site, for a repository that a test writes.
CONFIGURATION = f"""
INHERIT: {REPOSITORY}/mkdocs.yml
hooks: [{REPOSITORY}/scripts/docs/site_hooks.py]
nav: [README.md]
"""
LOADED = re.compile(r'<(?:script|img|iframe)\b[^>]*\bsrc="([^"]+)"|<link\b([^>]+)>')


def build(repository: Path, site: Path) -> subprocess.CompletedProcess[str]:
    options = ["--strict", "--config-file", str(repository / "mkdocs.yml")]
    return subprocess.run(
        [str(require_mkdocs()), "build", *options, "--site-dir", str(site)],
        env={"NO_MKDOCS_2_WARNING": "true", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A small repository, whose site a test builds."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "mkdocs.yml").write_text(CONFIGURATION)
    return tmp_path


def built(repository: Path, page: str) -> str:
    """The first page of a site, whose text is given."""
    (repository / "docs" / "README.md").write_text(page)
    done = build(repository, repository / "site")
    assert done.returncode == 0, done.stdout + done.stderr
    return (repository / "site" / "index.html").read_text()


def test_the_site_is_built_without_a_warning_and_loads_nothing_from_elsewhere(
    tmp_path: Path,
) -> None:
    done = build(REPOSITORY, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    # A page about an HTML file is a folder of that name.
    pages = [path for path in tmp_path.rglob("*.html") if path.is_file()]
    assert len(pages) > 40
    for page in pages:
        found = LOADED.findall(page.read_text())
        loaded = [source or link for source, link in found if 'rel="canonical"' not in link]
        assert loaded
        assert not [one for one in loaded if "//" in one], page
    for style in tmp_path.rglob("*.css"):
        assert not re.search(r"url\(\s*[\"']?(?:https?:)?//", style.read_text()), style


def test_a_file_and_a_folder_outside_docs_are_pages_of_the_site(repository: Path) -> None:
    (repository / "SECURITY.md").write_text("# Security\n\n[Roles](deploy/roles.sql)\n")
    (repository / "deploy").mkdir()
    (repository / "deploy" / "roles.sql").write_text("-- [no link](nowhere)\n")
    page = built(repository, "# One\n\n[Promises](../SECURITY.md#security), [all](../deploy)\n")
    assert 'href="repository/SECURITY/#security"' in page
    assert 'href="repository/deploy/"' in page
    site = repository / "site" / "repository"
    assert 'href="../deploy/roles.sql/"' in (site / "SECURITY" / "index.html").read_text()
    assert 'href="roles.sql/"' in (site / "deploy" / "index.html").read_text()
    assert "[no link](nowhere)" in (site / "deploy" / "roles.sql" / "index.html").read_text()


def test_examples_in_several_languages_are_tabs(repository: Path) -> None:
    examples = "**curl**\n\n```sh\ncurl one\n```\n\n**Python**\n\n```python\nimport one\n```\n"
    page = built(repository, f"# One\n\n<!-- tabs -->\n{examples}<!-- end of tabs -->\n\nAfter.\n")
    labels = re.findall(r'<label for="__tabbed_1_\d">(.*?)</label>', page)
    assert labels == ["curl", "Python"]
    assert page.count('<div class="tabbed-block">') == 2
    assert "<p>After.</p>" in page


def test_what_is_in_a_list_on_github_is_in_it_here(repository: Path) -> None:
    table = "  | a | b |\n  |---|---|\n  | 1 | 2 |\n"
    page = built(
        repository, f"# One\n\n- First:\n\n{table}\n  ```sh\n  if x\n    y\n  ```\n- Second\n"
    )
    (items,) = re.findall(r"<ul>\n<li>\n<p>First:.*?</ul>", page, re.DOTALL)
    assert "<td>1</td>" in items
    assert "<code>" in items
    assert "Second" in items


@pytest.mark.parametrize(
    "link",
    [
        "nowhere.md",
        "../nowhere.md",
        "../../outside.md",
        "README.md#nowhere",
        "#nowhere",
        "/README.md",
    ],
)
def test_a_broken_link_fails_the_build(repository: Path, link: str) -> None:
    (repository / "docs" / "README.md").write_text(f"# One\n\n[Broken]({link})\n")
    done = build(repository, repository / "site")
    assert done.returncode != 0
    assert link.rpartition("#")[2] in done.stdout + done.stderr


def test_a_page_without_a_place_in_the_navigation_fails_the_build(repository: Path) -> None:
    (repository / "docs" / "README.md").write_text("# One\n")
    (repository / "docs" / "forgotten.md").write_text("# Two\n")
    done = build(repository, repository / "site")
    assert done.returncode != 0
    assert "forgotten.md" in done.stdout + done.stderr
