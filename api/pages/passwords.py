"""Pages by which somebody who has forgotten their password sets a new one."""

from fastapi import APIRouter, Request, Response

from api import errors as api_errors
from api.dependencies import OriginDep, ServiceDep
from api.pages.links import proof_of, secret_page
from api.web.forms import Form, UncheckedForm
from api.web.rendering import page, redirect, translate
from authentication.accounts import password_reset
from authentication.errors import InvalidField, InvalidMailToken
from authentication.mail import redemption
from authentication.mail.kinds import LinkKind
from authentication.mail.redemption import Proof
from database import limits

router = APIRouter(prefix="/account")


@router.get("/forgot-password")
async def show_forgotten(request: Request) -> Response:
    """The form that asks for an address."""
    return page(request, "forgot_password.html", email="", error=None)


@router.post("/forgot-password")
async def send_mail(
    request: Request, form: UncheckedForm, service: ServiceDep, origin: OriginDep
) -> Response:
    """The same page whether there is such an account or not, with a form for the code."""
    email = form.text("email")
    try:
        transaction = await password_reset.request(service, email, origin=origin)
    except InvalidField as error:
        return page(request, "forgot_password.html", status=422, email=email, error=error)
    return page(request, "reset_password.html", transaction=transaction, token="", error=None)


@router.get("/reset-password")
async def show_reset(
    request: Request, service: ServiceDep, origin: OriginDep, token: str = ""
) -> Response:
    """The form for a new password. Opening it uses nothing up, as programs open links as well."""
    await redemption.find(service, Proof(token), [LinkKind.RESET], origin=origin)
    return secret_page(request, "reset_password.html", transaction="", token=token, error=None)


@router.post("/reset-password")
async def reset(
    request: Request, form: UncheckedForm, service: ServiceDep, origin: OriginDep
) -> Response:
    """Set the password. What is wrong with it is said on the same page, and the link stays good."""
    proof = proof_of(form)
    try:
        new = _new_password(form)
        await password_reset.reset(service, proof, new, origin=origin)
    except (InvalidField, InvalidMailToken) as error:
        if isinstance(error, InvalidMailToken) and proof.token:
            raise
        # A wrong code may be typed again.
        return page(
            request,
            "reset_password.html",
            status=api_errors.status_of(error),
            transaction=proof.transaction or "",
            token=proof.token or "",
            error=translate(request, error.detail),
        )
    return redirect(request, "/account/done/password")


def _new_password(form: Form) -> str:
    new = form.text("new_password")
    if not 0 < len(new) <= limits.MAX_PASSWORD_LENGTH:
        raise InvalidField("new_password", f"Use at most {limits.MAX_PASSWORD_LENGTH} characters.")
    if new != form.text("repeated_password"):
        raise InvalidField("repeated_password", "The two new passwords are not the same.")
    return new
