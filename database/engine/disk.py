"""Whether the disk of the database has room, which no query that reads would tell."""

import os
import time
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from counterfoil.errors import DatabaseUnavailable
from database.errors import is_full_disk
from database.settings import DatabaseSettings

# The log of one large transaction fits into this.
_LEAST_FREE_BYTES = 1 << 20
_REMEMBERED_SECONDS = 10


class DiskFull(DatabaseUnavailable):
    """Nothing can be written; what is stored can still be read."""

    code = "disk_full"
    detail = "The disk of the database is full."


class Disk:
    """The disk of SQLite can be asked. That of PostgreSQL is full where a write has said so."""

    def __init__(self, settings: DatabaseSettings) -> None:
        url = settings.url
        is_file = url.get_backend_name() == "sqlite"
        self._folder = Path(url.database or "").absolute().parent if is_file else None
        self._full_until = 0.0

    def note(self, error: DBAPIError) -> None:
        """Remember for some seconds what a write has failed for."""
        if is_full_disk(error):
            self._full_until = time.monotonic() + _REMEMBERED_SECONDS

    def check(self) -> None:
        """Raises DiskFull."""
        if time.monotonic() < self._full_until:
            raise DiskFull("the disk of the database is full: a write has just failed for it")
        if self._folder is None:
            return
        disk = os.statvfs(self._folder)
        if disk.f_bavail * disk.f_frsize < _LEAST_FREE_BYTES:
            raise DiskFull(f"the disk of {self._folder} is full")
