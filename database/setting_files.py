"""Reads settings from files that are named by a setting of the same name with `_FILE`.

Containers get secrets as files: an environment is seen by whoever may inspect the container.
"""

from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsError

SUFFIX = "_file"


class FileSettingsSource(PydanticBaseSettingsSource):
    """`given` are the variables of the environment and of `.env`, by their names in lower case."""

    def __init__(
        self, settings_cls: type[BaseSettings], given: dict[str, str | None], prefix: str
    ) -> None:
        super().__init__(settings_cls)
        self._given = given
        self._prefix = prefix.lower()

    def __call__(self) -> dict[str, Any]:
        """Raises SettingsError for a file that cannot be read, or a setting that is given twice."""
        found = {}
        for name, field in self.settings_cls.model_fields.items():
            value, key, _ = self.get_field_value(field, name)
            if value is not None:
                found[key] = value
        return found

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The content of the file, if one is named, without the end of its last line."""
        aliases = _aliases(field)
        names = [alias.lower() for alias in aliases] or [self._prefix + field_name]
        for name in names:
            if path := self._given.get(name + SUFFIX):
                self._reject_second(name, names)
                # The first alias goes before the others, which may be set and empty.
                return _read(name, Path(path)), (aliases or [field_name])[0], False
        return None, field_name, False

    def _reject_second(self, name: str, names: list[str]) -> None:
        # An empty one takes away the default of an image.
        if other := next((name for name in names if self._given.get(name)), None):
            raise SettingsError(f"{name.upper()}_FILE: {other.upper()} is set as well")


def _aliases(field: FieldInfo) -> list[str]:
    return [str(choice) for choice in getattr(field.validation_alias, "choices", [])]


def _read(name: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsError(f"{name.upper()}_FILE: {path} cannot be read: {reason}") from None
