"""The page of roles: what each grants, and who has it."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from api.dependencies import SessionDep
from api.request.parameters import RoleName
from api.web.forms import Form, confirmed
from api.web.rendering import page, redirect
from api.web.signed_in_user import AdministratorDep, SignedInAdministrator, get_administrator
from authentication.accounts import roles
from authentication.administration import accounts

router = APIRouter(prefix="/roles", dependencies=[Depends(get_administrator)])


@router.get("")
def list_roles(request: Request, admin: AdministratorDep, db: SessionDep) -> Response:
    """All roles, each with how many users have it."""
    return page(
        request,
        "roles.html",
        roles=roles.list_with_counts(db),
        required=roles.DEFAULT_ROLE,
        can_change=roles.can_be_changed(db),
    )


@router.post("/new")
def create(
    request: Request,
    form: Annotated[Form, confirmed("create a role")],
    actor: SignedInAdministrator,
    db: SessionDep,
) -> Response:
    """Create a role that nobody has yet."""
    accounts.create_role(
        db,
        actor,
        form.text("name"),
        description=form.text("description"),
        scopes=form.text("scopes"),
        requires_second_factor=bool(form.text("requires_second_factor")),
    )
    return redirect(request, "/console/roles", notice="role-created")


@router.post("/{name}/change")
def change(
    request: Request,
    form: Annotated[Form, confirmed("change what a role grants")],
    actor: SignedInAdministrator,
    db: SessionDep,
    name: RoleName,
) -> Response:
    """Change what a role grants, from the next request of its users on."""
    accounts.change_role(
        db,
        actor,
        name,
        description=form.text("description"),
        scopes=form.text("scopes"),
        requires_second_factor=bool(form.text("requires_second_factor")),
    )
    return redirect(request, "/console/roles", notice="role-changed")


@router.post("/{name}/delete")
def delete(
    request: Request,
    form: Annotated[Form, confirmed("delete a role")],
    actor: SignedInAdministrator,
    db: SessionDep,
    name: RoleName,
) -> Response:
    """Delete a role, and so take it from everybody."""
    accounts.delete_role(db, actor, name)
    return redirect(request, "/console/roles", notice="role-deleted")
