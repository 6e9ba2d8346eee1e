"""Hooks of mkdocs by which pages that are written for GitHub work on the documentation site."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

# Where the site has the files of the repository that are outside docs/.
OUTSIDE = "repository"
LANGUAGES = {".conf": "nginx", ".json": "json", ".py": "python", ".sql": "sql", ".yaml": "yaml"}

_LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)(?=[)#])")
_FENCED = re.compile(r"(^ *```.*?^ *```$)", re.MULTILINE | re.DOTALL)
_TABS = re.compile(r"^<!-- tabs -->\n(.*?)^<!-- end of tabs -->$", re.MULTILINE | re.DOTALL)
_TAB = re.compile(r"^\*\*(.+)\*\*$", re.MULTILINE)


class Sources:
    """The pages of the site: those in docs/, and the files outside that they link to."""

    def __init__(self, config: MkDocsConfig) -> None:
        self.docs = Path(config.docs_dir)
        self.root = self.docs.parent
        # By their address among the sources of the site.
        self.paths: dict[str, Path] = {}

    def find_outside(self, inside: list[str]) -> Iterator[Path]:
        """The files outside docs/ that a page links to, and those that these link to."""
        self.paths = {uri: self.docs / uri for uri in inside}
        waiting = list(self.paths.values())
        while waiting:
            for path in self._linked(waiting.pop()):
                if self._is_missing(path):
                    self.paths[self.uri(path)] = path
                    waiting.append(path)
                    yield path

    def uri(self, path: Path) -> str:
        """The address of a file among the sources of the site."""
        if path.is_relative_to(self.docs):
            return path.relative_to(self.docs).as_posix()
        inside = f"{OUTSIDE}/{path.relative_to(self.root).as_posix()}"
        if path.suffix == ".md":
            return inside
        # mkdocs leaves out what begins with a dot.
        return f"{inside}/index.md" if path.is_dir() else f"{inside.replace('/.', '/')}.md"

    def content(self, path: Path) -> str:
        """The text of a page, or a page that shows a file or the names of the files in a folder."""
        if path.suffix == ".md":
            return path.read_text()
        # The search is for the documentation.
        title = f"---\nsearch:\n  exclude: true\n---\n\n# {path.relative_to(self.root)}\n\n"
        if path.is_dir():
            names = sorted(file.name for file in path.iterdir() if file.is_file())
            return title + "".join(f"- [{name}]({path.name}/{name})\n" for name in names)
        return f"{title}```{LANGUAGES.get(path.suffix, 'text')}\n{path.read_text()}```\n"

    def lead_links(self, markdown: str, uri: str) -> str:
        """The text of a page with links as they are right on the site."""
        parts = _FENCED.split(markdown)
        parts[::2] = [
            _LINK.sub(lambda link: self._address(link[1], uri), one) for one in parts[::2]
        ]
        return "".join(parts)

    def _linked(self, page: Path) -> Iterator[Path]:
        for text in _FENCED.split(self.content(page))[::2]:
            for link in _LINK.findall(text):
                yield _target(link, page)

    def _is_missing(self, path: Path) -> bool:
        is_outside = path.is_relative_to(self.root) and not path.is_relative_to(self.docs)
        return is_outside and path.exists() and self.uri(path) not in self.paths

    def _address(self, link: str, uri: str) -> str:
        """A link as it is right on the site. A broken one stays, and fails the build."""
        target = _target(link, self.paths[uri])
        if not target.exists() or not target.is_relative_to(self.root):
            return link
        return os.path.relpath(self.uri(target), os.path.dirname(uri) or ".")


_sources: Sources


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each file outside docs/ that a page links to."""
    global _sources
    _sources = Sources(config)
    for path in _sources.find_outside([file.src_uri for file in files.documentation_pages()]):
        text, uri = _sources.content(path), _sources.uri(path)
        files.append(File.generated(config, uri, content=text, inclusion=InclusionLevel.NOT_IN_NAV))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links to where the site has the file, and show examples in several languages as tabs."""
    led = _sources.lead_links(_widen_lists(markdown), page.file.src_uri)
    return _TABS.sub(lambda found: _tabs(found[1]), led)


def _target(link: str, page: Path) -> Path:
    return Path(os.path.normpath(page.parent / link))


def _widen_lists(markdown: str) -> str:
    """What is indented by two or three spaces, as in lists, is by four: GitHub needs no more."""
    parts = _FENCED.split(markdown)
    parts[::2] = [re.sub(r"^ {2,3}(?=\S)", "    ", one, flags=re.MULTILINE) for one in parts[::2]]
    parts[1::2] = [
        re.sub(r"^ {2,3}", "    ", one, flags=re.MULTILINE) if one.startswith(" ") else one
        for one in parts[1::2]
    ]
    return "".join(parts)


def _tabs(text: str) -> str:
    """Lines in bold type, with what follows each, as tabs."""
    _, *parts = _TAB.split(text)
    tabs = zip(parts[::2], parts[1::2], strict=True)
    return "\n".join(f'=== "{label}"\n{_indented(content)}' for label, content in tabs)


def _indented(text: str) -> str:
    return re.sub(r"^(?=.)", "    ", text, flags=re.MULTILINE)
