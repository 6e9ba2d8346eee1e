"""Pages on which administrators create, rename and delete accounts."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from api.dependencies import ServiceDep, SessionDep
from api.request.parameters import UserId
from api.web.forms import Form, confirmed
from api.web.rendering import page, redirect
from api.web.signed_in_user import AdministratorDep, SignedInAdministrator, get_administrator
from authentication.accounts import roles
from authentication.accounts.registration import Registration
from authentication.administration import accounts, mails, operations
from authentication.administration.operations import UserChange
from authentication.errors import Conflict, InvalidField
from counterfoil.errors import CounterfoilError

router = APIRouter(dependencies=[Depends(get_administrator)])

_FIELDS = ("email", "name", "surname", "username")


@router.get("/new-user")
def show_form(request: Request, admin: AdministratorDep, db: SessionDep) -> Response:
    """The form for an account."""
    return _form(request, Form([("role", roles.DEFAULT_ROLE)]), _role_names(db))


@router.post("/new-user")
async def create(
    request: Request,
    form: Annotated[Form, confirmed("create an account")],
    actor: SignedInAdministrator,
    service: ServiceDep,
) -> Response:
    """Create an account without a password, and send its owner a mail to set one if asked to."""
    account = Registration(
        email=form.text("email"),
        password="",
        name=form.text("name"),
        surname=form.text("surname") or None,
        username=form.text("username") or None,
        roles=tuple(form.texts("role")),
    )
    try:
        user = await accounts.create_user(service, actor, account)
    except (InvalidField, Conflict) as error:
        names = await service.database.run(_role_names, read_only=True)
        return _form(request, form, names, error)
    if form.text("invite") and service.has_mail:
        await mails.send_reset(service, actor, user.id)
        return redirect(request, f"/console/users/{user.id}", notice="user-invited")
    return redirect(request, f"/console/users/{user.id}", notice="user-created")


@router.post("/users/{user_id}/names")
def rename(
    request: Request,
    form: Annotated[Form, confirmed("rename this account")],
    actor: SignedInAdministrator,
    service: ServiceDep,
    db: SessionDep,
    user_id: UserId,
) -> Response:
    """Give the account other names. Empty ones are taken away, where there need not be one."""
    names = {name: form.text(name) or None for name in _FIELDS}
    operations.change_user(db, service.settings, actor, user_id, UserChange(names=names))
    return redirect(request, f"/console/users/{user_id}", notice="user-renamed")


@router.post("/users/{user_id}/delete")
def delete(
    request: Request,
    form: Annotated[Form, confirmed("delete this account for ever")],
    actor: SignedInAdministrator,
    service: ServiceDep,
    db: SessionDep,
    user_id: UserId,
) -> Response:
    """Delete the account and everything that belongs to it."""
    accounts.delete_user(db, service.settings, actor, user_id)
    return redirect(request, "/console/users", notice="user-deleted")


def _role_names(db: SessionDep) -> list[str]:
    return [role.name for role in roles.list_all(db)]


def _form(
    request: Request, form: Form, role_names: list[str], error: CounterfoilError | None = None
) -> Response:
    return page(
        request,
        "user_new.html",
        status=HTTPStatus.OK if error is None else HTTPStatus.UNPROCESSABLE_ENTITY,
        error=error and error.detail,
        values={name: form.text(name) for name in _FIELDS},
        roles=role_names,
        chosen=form.texts("role"),
    )
