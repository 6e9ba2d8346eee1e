"""Rejects a single text where several are meant, because its letters would be taken for them."""

from collections.abc import Iterable


def several(name: str, given: Iterable[str]) -> tuple[str, ...]:
    """The texts of the argument of this name. Raises ValueError for a single one."""
    if isinstance(given, str):
        raise ValueError(f"{name} must be a list, such as [{given!r}]")
    return tuple(given)
