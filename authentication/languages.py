"""The languages of mails and of the pages that their links lead to.

A language is a file `authentication/locale/LANGUAGE/LC_MESSAGES/messages.po`, compiled by
`python -m scripts.translate`. English is in the templates themselves.
"""

import gettext
from functools import cache, lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

LOCALE = Path(__file__).parent / "locale"
DEFAULT = "en"

_MAX_HEADER = 200
_MAX_CHOICES = 20


@cache
def available() -> tuple[str, ...]:
    """All languages, the default one first."""
    return (DEFAULT, *sorted(path.name for path in LOCALE.iterdir() if path.is_dir()))


@cache
def translations(language: str) -> gettext.NullTranslations:
    """The texts in a language; for one that is not available, those of the default."""
    return gettext.translation("messages", LOCALE, [language], fallback=True)


@cache
def templates(directories: tuple[Path, ...], language: str) -> Environment:
    """What renders the templates of these directories, of which an earlier one comes first.

    Texts are translated by `_`, and values are escaped, except in plain text (`.txt`).
    """
    environment = Environment(
        loader=FileSystemLoader(directories),
        autoescape=select_autoescape(disabled_extensions=["txt"], default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.install_gettext_translations(  # type: ignore[attr-defined]
        translations(language), newstyle=True
    )
    return environment


@lru_cache(maxsize=256)
def negotiate(accept_language: str) -> str:
    """The language that a client prefers (RFC 9110, 12.5.4), or the default."""
    if len(accept_language) > _MAX_HEADER:
        return DEFAULT
    choices = [_parse(part) for part in accept_language.split(",")[:_MAX_CHOICES]]
    for _, wanted in sorted(choices, key=lambda choice: -choice[0]):
        language = wanted.partition("-")[0]
        if language in available():
            return language
    return DEFAULT


def _parse(part: str) -> tuple[float, str]:
    """How much a language is wanted, and which. One with `q=0` is not wanted at all."""
    language, _, parameter = part.strip().lower().partition(";")
    name, _, value = parameter.strip().partition("=")
    try:
        quality = float(value) if name == "q" else 1.0
    except ValueError:
        quality = 0.0
    return (quality, language.strip()) if quality > 0 else (0.0, "")
