"""Says in words what a scope lets an application do."""

from typing import NamedTuple

from fastapi import Request

from api.web.messages import N_
from api.web.rendering import translate
from authentication import permissions
from counterfoil.permissions import Scopes

# Scopes of your own are shown by their names.
_MEANINGS = {
    permissions.ACCOUNT: N_("Read and change your account, your sessions and your API keys"),
    permissions.ADMIN: N_("Administer users, sessions and API keys"),
    permissions.INTROSPECT: N_("Ask whose tokens it is sent"),
    permissions.ROTATE: N_("Replace itself by a new API key"),
}


class Described(NamedTuple):
    """`meaning` is None for a scope that only your application knows."""

    name: str
    meaning: str | None


def describe(request: Request, scopes: Scopes) -> list[Described]:
    """The scopes in alphabetical order, in the language of the page."""
    return [
        Described(name, translate(request, _MEANINGS[name]) if name in _MEANINGS else None)
        for name in sorted(scopes)
    ]
