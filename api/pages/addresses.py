"""Pages that confirm an e-mail address, and that take a change of it back."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from api.dependencies import OriginDep, ServiceDep
from api.pages.fields import field_error
from api.pages.links import proof_of, secret_page
from api.web import errors
from api.web.forms import FormDep, UncheckedForm
from api.web.rendering import page, redirect
from api.web.signed_in_user import SignedInActor
from authentication.accounts import email_addresses
from authentication.errors import InvalidMailToken
from authentication.mail import redemption
from authentication.mail.kinds import CONFIRMING, LinkKind
from authentication.mail.redemption import Proof

router = APIRouter(prefix="/account")

Done = Annotated[str, Path(pattern="^(password|verify|change|register|revert)$")]


@router.get("/confirm-email")
async def show_confirmation(
    request: Request, service: ServiceDep, origin: OriginDep, token: str = ""
) -> Response:
    """A button that confirms. Opening the page confirms nothing, as programs open links as well."""
    found = await redemption.find(service, Proof(token), CONFIRMING, origin=origin)
    kind, address = found.token.kind, found.token.address
    return secret_page(request, "confirm_email.html", token=token, kind=kind, address=address)


@router.post("/confirm-email")
async def confirm(
    request: Request, form: UncheckedForm, service: ServiceDep, origin: OriginDep
) -> Response:
    """Confirm the address. A wrong code may be typed again."""
    proof = proof_of(form)
    try:
        kind = await email_addresses.confirm(service, proof, origin=origin)
    except InvalidMailToken as error:
        if proof.token:
            raise
        wrong = field_error(request, error, default="code")
        return page(
            request,
            "mail_sent.html",
            status=errors.status_of(error),
            transaction=proof.transaction,
            error=wrong,
        )
    return redirect(request, f"/account/done/{kind}")


@router.post("/email/verification")
async def send_verification(
    request: Request, form: FormDep, actor: SignedInActor, service: ServiceDep
) -> Response:
    """Have a mail sent to the address of the signed-in user."""
    transaction = await email_addresses.request_verification(service, actor)
    return page(request, "mail_sent.html", transaction=transaction, error=None)


@router.get("/revert-email")
async def show_revert(
    request: Request, service: ServiceDep, origin: OriginDep, token: str = ""
) -> Response:
    """A button that takes the change back."""
    found = await redemption.find(service, Proof(token), [LinkKind.REVERT], origin=origin)
    return secret_page(request, "revert_email.html", token=token, address=found.token.address)


@router.post("/revert-email")
async def revert(
    request: Request, form: UncheckedForm, service: ServiceDep, origin: OriginDep
) -> Response:
    """Give the account its old address back, and end all sessions."""
    await email_addresses.revert(service, proof_of(form), origin=origin)
    return redirect(request, "/account/done/revert")


@router.get("/done/{what}")
async def show_done(request: Request, what: Done) -> Response:
    """What has been done, at an address that holds no token."""
    return page(request, "done.html", what=what)
