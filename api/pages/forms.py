"""Reads the forms of the pages. A link's token in the form is what proves that it may be sent."""

from typing import Annotated

from fastapi import Depends, Request

from api.request.forms import read_fields
from authentication.mail.redemption import Proof

_MAX_FIELDS = 20


async def read(request: Request) -> dict[str, str]:
    """The fields by their names. Raises InvalidForm."""
    return dict(await read_fields(request, max_fields=_MAX_FIELDS))


FormDep = Annotated[dict[str, str], Depends(read)]


def proof_of(form: dict[str, str]) -> Proof:
    """The token of a link; or, without one, a code with its transaction."""
    if token := form.get("token"):
        return Proof(token)
    return Proof(None, form.get("transaction", ""), form.get("code", ""))
