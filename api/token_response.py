"""The response that hands out tokens."""

from fastapi import Response

from authentication.credentials.issuance import TokenPair
from schemas.tokens import TokenRead

_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


def respond(pair: TokenPair) -> Response:
    """The tokens, in a response that must not be stored (RFC 6749, 5.1)."""
    body = TokenRead(
        access_token=pair.access_token,
        expires_in=pair.expires_in,
        refresh_token=pair.refresh_token,
        scope=pair.scope,
    )
    return Response(body.model_dump_json(), headers=_NO_STORE, media_type="application/json")
