"""What a name or a label may consist of, and what a database can compare."""

import re
import unicodedata

# Characters that do not show, or that reorder others: controls, zero-width and direction marks,
# surrogates, private and unassigned ones, line and paragraph separators.
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
# And those that count as letters, marks or symbols but do not show either: fillers, joiners and
# variation selectors (Unicode's Default_Ignorable_Code_Point), and the blank pattern of Braille.
_IGNORABLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0000-\U000e0fff]"
)

_INCOMPARABLE = re.compile("[\x00\ud800-\udfff]")


def has_invisible(text: str) -> bool:
    """Whether it contains a character that does not show, or that reorders others.

    Names and labels are written to headers, logs and terminals, and people compare them by eye.
    """
    if _IGNORABLE.search(text):
        return True
    return any(unicodedata.category(character) in _INVISIBLE for character in text)


def decompose(text: str) -> str:
    """With each accent as a character of its own, as some systems have stored names."""
    return unicodedata.normalize("NFD", text)


def is_comparable(text: str) -> bool:
    """Whether PostgreSQL accepts it as a parameter: without NUL and lone surrogates."""
    return _INCOMPARABLE.search(text) is None
