"""Pages by which people create an account, where the settings allow it."""

from http import HTTPStatus

from fastapi import APIRouter, Request, Response

from api.dependencies import OriginDep, ServiceDep
from api.pages import starting_form
from api.pages.fields import FieldError, field_error, read
from api.web import errors
from api.web.forms import Form, UncheckedForm
from api.web.rendering import page, redirect
from authentication.accounts import registration
from authentication.accounts.registration import Registration
from authentication.errors import Conflict, InvalidField
from authentication.settings import Registration as Mode
from schemas.users import UserCreate

router = APIRouter(prefix="/account/register")

_REQUIRED = ("email", "name", "password")
_OPTIONAL = ("surname", "username")


@router.get("")
async def show_form(request: Request) -> Response:
    """The form for a new account."""
    return _show(request, Form([("next", request.query_params.get("next", ""))]))


@router.post("")
async def register(
    request: Request, form: UncheckedForm, service: ServiceDep, origin: OriginDep
) -> Response:
    """Create the account; or send a mail, by which it begins once the address is confirmed."""
    starting_form.check(request, form)
    try:
        wanted = read(UserCreate, form, *_REQUIRED, optional=_OPTIONAL)
        account = Registration(**wanted.model_dump())
        if service.settings.registration is Mode.CONFIRM:
            transaction = await registration.request(service, account, origin=origin)
            return page(request, "mail_sent.html", transaction=transaction, error=None)
        await registration.register(service, account, origin=origin)
    except (InvalidField, Conflict) as error:
        wrong = field_error(request, error, default="email")
        return _show(request, form, wrong, errors.status_of(error))
    return redirect(request, "/sign-in", notice="account-created", next=form.text("next"))


def _show(
    request: Request,
    form: Form,
    error: FieldError | None = None,
    status: HTTPStatus = HTTPStatus.OK,
) -> Response:
    values = {name: form.text(name) for name in ("email", "name", "surname", "username", "next")}
    return starting_form.show(request, "register.html", status=status, values=values, error=error)
