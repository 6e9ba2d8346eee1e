"""Pages that confirm an e-mail address, and that take a change of it back."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from api.dependencies import OriginDep, ServiceDep
from api.pages.forms import FormDep, proof_of
from api.pages.rendering import page, redirect
from authentication.accounts import email_addresses
from authentication.mail import redemption
from authentication.mail.kinds import CONFIRMING, LinkKind
from authentication.mail.redemption import Proof

router = APIRouter()

Done = Annotated[str, Path(pattern="^(password|verify|change|register|revert)$")]


@router.get("/confirm-email")
async def show_confirmation(
    request: Request, service: ServiceDep, origin: OriginDep, token: str = ""
) -> Response:
    """A button that confirms. Opening the page confirms nothing, as programs open links as well."""
    found = await redemption.find(service, Proof(token), CONFIRMING, origin=origin)
    kind, address = found.token.kind, found.token.address
    return page(request, "confirm_email.html", token=token, kind=kind, address=address)


@router.post("/confirm-email")
async def confirm(
    request: Request, form: FormDep, service: ServiceDep, origin: OriginDep
) -> Response:
    """Confirm the address."""
    kind = await email_addresses.confirm(service, proof_of(form), origin=origin)
    return redirect(request, f"/done/{kind}")


@router.get("/revert-email")
async def show_revert(
    request: Request, service: ServiceDep, origin: OriginDep, token: str = ""
) -> Response:
    """A button that takes the change back."""
    found = await redemption.find(service, Proof(token), [LinkKind.REVERT], origin=origin)
    return page(request, "revert_email.html", token=token, address=found.token.address)


@router.post("/revert-email")
async def revert(
    request: Request, form: FormDep, service: ServiceDep, origin: OriginDep
) -> Response:
    """Give the account its old address back, and end all sessions."""
    await email_addresses.revert(service, proof_of(form), origin=origin)
    return redirect(request, "/done/revert")


@router.get("/done/{what}")
async def show_done(request: Request, what: Done) -> Response:
    """What has been done, at an address that holds no token."""
    return page(request, "done.html", what=what)
