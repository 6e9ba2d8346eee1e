"""Says what new names and labels may look like. What is stored already is not judged by it."""

from authentication.errors import InvalidField
from database import limits
from database.text import has_invisible


def clean(field: str, label: str, *, least: int = 0, most: int = limits.MAX_LABEL_LENGTH) -> str:
    """The label without white space around it.

    Raises InvalidField if it is too short, too long or contains invisible characters. The
    API, the pages and the commands call this: only the API's schemas check it as well.
    """
    cleaned = label.strip()
    if not least <= len(cleaned) <= most or has_invisible(cleaned):
        raise InvalidField(field, f"Use {least} to {most:,} visible characters.")
    return cleaned
