"""Administration of roles: what they grant holds from the next request on."""

from http import HTTPStatus

from fastapi import APIRouter

from api.dependencies import AdministratorActor, SessionDep, requires
from api.openapi.problems import problems
from api.request.parameters import RoleName
from api.routing.json_route import JsonRoute
from authentication import permissions
from authentication.accounts import roles
from authentication.administration import accounts
from schemas.roles import RoleCreate, RoleRead, RoleUpdate, RoleWithUsers

router = APIRouter(
    prefix="/admin/roles",
    tags=["administration"],
    dependencies=[requires(permissions.ADMIN)],
    responses=problems(400, 401, 403, 503),
    route_class=JsonRoute,
)


@router.get("", summary="List roles", response_description="All roles.")
def list_roles(db: SessionDep) -> list[RoleWithUsers]:
    """All roles, with the scopes that they grant, and with how many users have them."""
    return [
        RoleWithUsers(**RoleRead.model_validate(role).model_dump(), users=users)
        for role, users in roles.list_with_counts(db)
    ]


@router.post(
    "",
    summary="Create a role",
    status_code=HTTPStatus.CREATED,
    response_description="The role.",
    responses=problems(408, 409, 413, 415, 422, 429),
)
def create_role(actor: AdministratorActor, db: SessionDep, body: RoleCreate) -> RoleRead:
    """Nobody has it yet. The session must be fresh: see `POST /sessions/confirm`.

    409 `roles_read_only` if the service's role in the database may not change roles.
    """
    made = accounts.create_role(
        db,
        actor,
        body.name,
        description=body.description,
        scopes=body.scopes,
        requires_second_factor=body.requires_second_factor,
    )
    return RoleRead.model_validate(made)


@router.patch(
    "/{name}",
    summary="Change a role",
    response_description="The role after the change.",
    responses=problems(404, 408, 409, 413, 415, 422, 429),
)
def change_role(
    actor: AdministratorActor, db: SessionDep, name: RoleName, body: RoleUpdate
) -> RoleRead:
    """Takes effect on the next request of each user who has it. The session must be fresh."""
    changed = accounts.change_role(
        db,
        actor,
        name,
        description=body.description,
        scopes=body.scopes,
        requires_second_factor=body.requires_second_factor,
    )
    return RoleRead.model_validate(changed)


@router.delete(
    "/{name}",
    summary="Delete a role",
    status_code=HTTPStatus.NO_CONTENT,
    response_description="The role is deleted.",
    responses=problems(404, 409, 422, 429),
)
def delete_role(actor: AdministratorActor, db: SessionDep, name: RoleName) -> None:
    """Takes it from everybody who has it. The session must be fresh."""
    accounts.delete_role(db, actor, name)
