"""Resolves credentials as counterfoil/resolver.py does, and limits the requests of API keys."""

from authentication.resolution.api_key_uses import ApiKeyUses
from counterfoil.identity import Identity, SessionKind
from counterfoil.resolver import Resolver


class LimitedResolver:
    """What the routes of the service resolve by. Whom they ask about is not limited."""

    max_staleness_seconds = 0.0

    def __init__(self, resolver: Resolver, uses: ApiKeyUses) -> None:
        self._resolver = resolver
        self._uses = uses
        self.start, self.close, self.check = resolver.start, resolver.close, resolver.check

    async def resolve(
        self, token: str, *, session_kind: SessionKind = SessionKind.API, anew: bool = True
    ) -> Identity | None:
        """As of any resolver. Raises TooManyAttempts for a key past its limit as well."""
        identity = await self._resolver.resolve(token, session_kind=session_kind, anew=anew)
        if identity is not None and identity.api_key_id is not None:
            self._uses.charge(identity.api_key_id)
        return identity
