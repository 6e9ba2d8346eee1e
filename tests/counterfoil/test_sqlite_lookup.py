"""Lookups in a SQLite file that is not there, or not there yet."""

import asyncio
import shutil
from pathlib import Path

import pytest

from counterfoil.errors import DatabaseUnavailable
from counterfoil.identity import CredentialKind
from counterfoil.lookup.sqlite import SQLiteLookup


def test_a_file_that_is_missing_is_not_created_and_is_found_once_it_is_there(
    tmp_path: Path, sqlite_template: Path
) -> None:
    path = tmp_path / "moved.db"

    async def look_up() -> None:
        lookup = SQLiteLookup(str(path), deadline_seconds=1.5)
        with pytest.raises(DatabaseUnavailable):
            await lookup.find(CredentialKind.ACCESS_TOKEN, [bytes(32)])
        assert not path.exists()
        shutil.copy(sqlite_template, path)
        assert await lookup.find(CredentialKind.ACCESS_TOKEN, [bytes(32)]) == []
        await lookup.close()

    asyncio.run(look_up())
