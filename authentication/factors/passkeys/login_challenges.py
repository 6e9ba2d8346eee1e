"""Issues challenges for logins by passkey to clients that are not authenticated."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from sqlalchemy.orm import Session

from authentication.audit import Origin
from authentication.errors import HashingBusy, TooManyAttempts
from authentication.settings import AuthenticationSettings
from authentication.throttling import counting, limits
from authentication.throttling.counting import Exceeded
from authentication.throttling.lane import Lane
from authentication.throttling.memory import RecentRejections
from database.engine.session import Database

T = TypeVar("T")


class Rejected(NamedTuple):
    """A client that asks too often."""

    exceeded: Sequence[Exceeded]


class LoginChallenges:
    """Each is a row, so a network can cause only so many. Belongs to the event loop."""

    def __init__(
        self,
        settings: AuthenticationSettings,
        database: Database,
        *,
        is_in_demand: Callable[[], bool],
    ) -> None:
        self._settings = settings
        self._database = database
        self._lane = Lane(is_in_demand=is_in_demand, error=HashingBusy)
        self._rejections = RecentRejections()

    async def begin(self, origin: Origin, work: Callable[[Session], T]) -> T:
        """Do what adds a challenge. Raises TooManyAttempts, HashingBusy.

        In a flood, the same client is rejected again without a query.
        """
        if rejection := self._rejections.find_for_unknown("", origin.network):
            raise rejection

        def count_and_work(db: Session) -> T | Rejected:
            counted = self._limits(origin)
            exceeded = counting.count(db, counted, origin=origin) if counted else []
            return Rejected(exceeded) if exceeded else work(db)

        outcome = await self._lane.run(
            lambda: self._database.run(count_and_work, is_untrusted=True)
        )
        if isinstance(outcome, Rejected):
            self._rejections.add("", origin.network, outcome.exceeded, is_known=False)
            raise TooManyAttempts(counting.longest_retry_after(outcome.exceeded))
        return outcome

    def _limits(self, origin: Origin) -> list[limits.Limit]:
        is_on = self._settings.login_throttle
        return limits.for_passkey_logins(self._settings, origin) if is_on else []
