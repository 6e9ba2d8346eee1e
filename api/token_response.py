"""The response that hands out tokens."""

from fastapi import Response

from authentication.credentials.issuance import TokenPair
from schemas.tokens import AccessTokenRead, TokenRead

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


def respond(pair: TokenPair) -> Response:
    """The tokens, in a response that must not be stored (RFC 6749, 5.1)."""
    fields = {
        "access_token": pair.access_token,
        "expires_in": pair.expires_in,
        "scope": pair.scope,
    }
    body = AccessTokenRead.model_validate(fields)
    if pair.refresh_token is not None:
        body = TokenRead.model_validate({**fields, "refresh_token": pair.refresh_token})
    return Response(body.model_dump_json(), headers=NO_STORE, media_type="application/json")
