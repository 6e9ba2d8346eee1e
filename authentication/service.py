"""Everything that a running service holds: opened once, closed once, passed to what needs it."""

from authentication.floods import FloodMemory
from authentication.last_used import LastUsedWriter
from authentication.passwords import HashingThreads, PasswordHasher
from authentication.resolver import Resolver
from authentication.settings import AuthenticationSettings
from database.lookup import open_lookup
from database.session import Database
from database.settings import DatabaseSettings


class Service:
    """Belongs to the event loop it is opened on."""

    def __init__(
        self, *, settings: AuthenticationSettings, database_settings: DatabaseSettings
    ) -> None:
        self.settings = settings
        self.database = Database(database_settings)
        self.hasher = PasswordHasher(settings)
        self.hashing = HashingThreads(settings)
        self.floods = FloodMemory(is_on=settings.login_throttle)
        self.last_used = LastUsedWriter(settings, self.database)
        self.resolver = Resolver(
            open_lookup(database_settings),
            deadline_seconds=database_settings.database_deadline_seconds,
            on_use=self.last_used.note,
        )

    async def open(self) -> None:
        """Raises DatabaseUnavailable if there is nothing to connect to."""
        await self.resolver.open()
        self.last_used.start()

    async def check(self) -> None:
        """Raises DatabaseUnavailable unless tokens can be looked up and rows be read."""
        await self.resolver.check()
        await self.database.run(lambda session: session.connection(), read_only=True)

    async def close(self) -> None:
        """Finish what is in flight, write what waits to be written, disconnect."""
        await self.resolver.close()
        await self.last_used.stop()
        self.hashing.close()
        self.database.close()
