"""Reads columns of JSON, into which operators may have written anything by SQL."""

import json
from typing import Any

# Deeper values can be read, but neither serialised nor rendered.
_MAX_LEVELS = 20


def read_object(stored: Any) -> dict[str, Any]:
    """A JSON object. Any other value becomes one with the key `value`.

    SQLite returns numbers and bytes where they were written into a column of text.
    """
    if isinstance(stored, bytes):
        stored = stored.decode(errors="replace")
    value = _parse(stored) if isinstance(stored, str) else stored
    return value if isinstance(value, dict) else {"value": value}


def _parse(text: str) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if not _is_shallow(value, _MAX_LEVELS):
        return text
    return _without_surrogates(value) if "\\ud" in text.lower() else value


def _is_shallow(value: Any, levels: int) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        return True
    return levels > 0 and all(_is_shallow(one, levels - 1) for one in value)


def _without_surrogates(value: Any) -> Any:
    """Replaces lone surrogates, which JSON can escape, but nothing can encode."""
    return json.loads(json.dumps(value, ensure_ascii=False).encode(errors="replace"))
