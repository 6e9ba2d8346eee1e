"""Pages on which users change their names and their e-mail address."""

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response

from api.dependencies import ServiceDep, SessionDep
from api.pages.fields import field_error, read
from api.web import errors
from api.web.forms import Form, confirmed
from api.web.messages import N_
from api.web.rendering import page, redirect
from api.web.signed_in_user import SignedInActor, SignedInUserDep
from authentication.accounts import email_addresses, profiles
from authentication.accounts.profiles import ProfileChange
from authentication.errors import Conflict, InvalidField, WrongPassword
from counterfoil.errors import CounterfoilError
from schemas.users import UserUpdate

router = APIRouter(prefix="/account")

_REQUIRED = ("name",)
_OPTIONAL = ("surname", "username", "website")


@router.get("/profile")
async def show_profile(request: Request, user: SignedInUserDep) -> Response:
    """The form with the user's names."""
    values = {field: getattr(user.identity, field) or "" for field in (*_REQUIRED, *_OPTIONAL)}
    return page(request, "profile.html", values=values, error=None)


@router.post("/profile")
async def change_profile(
    request: Request,
    form: Annotated[Form, confirmed(N_("change your username"))],
    actor: SignedInActor,
    service: ServiceDep,
) -> Response:
    """Change the names. A new username takes a password that was entered recently."""
    try:
        wanted = read(UserUpdate, form, *_REQUIRED, optional=_OPTIONAL)
        fields = wanted.model_dump(exclude_unset=True)
        await profiles.change_profile(service, actor, ProfileChange(fields))
    except (InvalidField, Conflict) as error:
        values = {field: form.text(field) for field in (*_REQUIRED, *_OPTIONAL)}
        return _show_again(request, "profile.html", error, "name", values=values)
    return redirect(request, "/account", notice="profile-changed")


@router.get("/email")
def show_email(request: Request, user: SignedInUserDep, db: SessionDep) -> Response:
    """The form for a new address, and what is known about the present one."""
    status = email_addresses.read_status(db, user.identity.user_id)
    return page(request, "email.html", address=status, value="", error=None)


@router.post("/email")
async def change_email(
    request: Request,
    form: Annotated[Form, confirmed(N_("change your address"))],
    actor: SignedInActor,
    service: ServiceDep,
) -> Response:
    """Change the address, which always takes the password. With mail, it has to be confirmed.

    A user who has a second factor gives it first, and then types the password again.
    """
    try:
        wanted = read(UserUpdate, form, "email", "current_password")
        change = ProfileChange({}, wanted.email, wanted.current_password)
        await profiles.change_profile(service, actor, change)
    except (InvalidField, Conflict, WrongPassword) as error:
        default = "current_password" if isinstance(error, WrongPassword) else "email"
        status = await service.database.run(
            lambda db: email_addresses.read_status(db, actor.identity.user_id), read_only=True
        )
        value = form.text("email")
        return _show_again(request, "email.html", error, default, address=status, value=value)
    notice = "address-pending" if service.has_mail else "address-changed"
    return redirect(request, "/account", notice=notice)


def _show_again(
    request: Request, template: str, error: CounterfoilError, default: str, **context: Any
) -> Response:
    wrong = field_error(request, error, default=default)
    return page(request, template, status=errors.status_of(error), error=wrong, **context)
