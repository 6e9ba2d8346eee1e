"""Keeps the translations in step with the templates, and compiles them.

    python -m scripts.translate            updates each messages.po, and compiles it to messages.mo
    python -m scripts.translate fr         begins a language

A text that has changed is marked as fuzzy, and is not used until somebody has looked at it.
"""

import io
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from authentication.languages import LOCALE, available
from harness.server import REPOSITORY

_SOURCES = (REPOSITORY / "authentication", REPOSITORY / "api")
_METHODS = [("**.txt", "jinja2"), ("**.html", "jinja2"), ("**.py", "python")]
_KEYWORDS = {"_": None, "N_": None}


def main(new: list[str]) -> None:
    for language in [*available()[1:], *new]:
        po, mo = paths(language)
        po.parent.mkdir(parents=True, exist_ok=True)
        catalog = updated(language)
        po.write_bytes(text_of(catalog))
        mo.write_bytes(compiled(catalog))


def paths(language: str) -> tuple[Path, Path]:
    folder = LOCALE / language / "LC_MESSAGES"
    return folder / "messages.po", folder / "messages.mo"


def updated(language: str) -> Catalog:
    """The catalogue of a language with the texts that there are now."""
    po, _ = paths(language)
    catalog = Catalog(language)
    if po.exists():
        with po.open("rb") as file:
            catalog = read_po(file, locale=language)
    template = Catalog()
    for text in sorted(set(texts())):
        template.add(text)
    catalog.update(template)
    catalog.obsolete.clear()
    return catalog


def texts() -> Iterator[str]:
    """All that are to be translated."""
    for source in _SOURCES:
        for found in extract_from_dir(str(source), _METHODS, keywords=_KEYWORDS):
            message = found[2]
            yield message if isinstance(message, str) else message[0]


def text_of(catalog: Catalog) -> bytes:
    """As it is stored, without times, so that it only differs where texts do."""
    stream = io.BytesIO()
    write_po(stream, catalog, omit_header=True, sort_output=True, width=100)
    return stream.getvalue()


def compiled(catalog: Catalog) -> bytes:
    """As the standard library's gettext reads it."""
    # Otherwise each run would change the file.
    catalog.creation_date = catalog.revision_date = datetime(2026, 1, 1, tzinfo=UTC)
    catalog.fuzzy = False
    stream = io.BytesIO()
    write_mo(stream, catalog)
    return stream.getvalue()


if __name__ == "__main__":
    main(sys.argv[1:])
