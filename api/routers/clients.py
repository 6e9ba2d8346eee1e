"""Registered clients, for administrators. Everything here takes the scope `admin`."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query

from api.dependencies import AdministratorActor, SessionDep, requires
from api.openapi.problems import problems
from api.request.parameters import ClientId
from api.routing.json_route import JsonRoute
from authentication import permissions
from authentication.clients import registration
from authentication.clients.grants import Grant
from authentication.clients.registration import ClientFields, NewSecret
from schemas.admin import Paging
from schemas.clients import (
    ClientCreate,
    ClientCreated,
    ClientPage,
    ClientRead,
    ClientUpdate,
    SecretRotation,
)

router = APIRouter(
    prefix="/admin/clients",
    tags=["clients"],
    dependencies=[requires(permissions.ADMIN)],
    responses=problems(400, 401, 403, 503),
    route_class=JsonRoute,
)


@router.get(
    "",
    summary="List clients",
    response_description="A page of clients.",
    responses=problems(422),
)
def list_clients(db: SessionDep, query: Annotated[Paging, Query()]) -> ClientPage:
    """In the order of their ids. Secrets are never shown."""
    page = registration.list_clients(db, limit=query.limit, cursor=query.cursor)
    return ClientPage.model_validate(page)


@router.post(
    "",
    summary="Register a client",
    status_code=HTTPStatus.CREATED,
    response_description="The client, with its secret, which is shown only once.",
    responses=problems(408, 409, 413, 415, 422, 429),
)
def register_client(actor: AdministratorActor, db: SessionDep, body: ClientCreate) -> ClientCreated:
    """The session must be fresh: see `POST /sessions/confirm`."""
    actor.hold(db, fresh=True)
    return _created(
        registration.register(
            db,
            _fields(body),
            client_id=body.id,
            is_confidential=body.is_confidential,
            origin=actor.origin,
        )
    )


@router.get(
    "/{client_id}",
    summary="Read a client",
    response_description="The client.",
    responses=problems(404, 422),
)
def read_client(db: SessionDep, client_id: ClientId) -> ClientRead:
    """Without its secret, of which only a digest is stored."""
    return ClientRead.model_validate(registration.get_client(db, client_id))


@router.patch(
    "/{client_id}",
    summary="Change, disable or enable a client",
    response_description="The client after the change.",
    responses=problems(404, 408, 413, 415, 422, 429),
)
def change_client(
    actor: AdministratorActor, db: SessionDep, client_id: ClientId, body: ClientUpdate
) -> ClientRead:
    """The session must be fresh: see `POST /sessions/confirm`."""
    actor.hold(db, fresh=True)
    client = registration.change(db, client_id, _fields(body), origin=actor.origin)
    if body.disabled is not None:
        switch = registration.disable if body.disabled else registration.enable
        client = switch(db, client_id, origin=actor.origin)
    return ClientRead.model_validate(client)


@router.delete(
    "/{client_id}",
    summary="Delete a client",
    status_code=HTTPStatus.NO_CONTENT,
    response_description="The client is deleted, and its sessions with it.",
    responses=problems(404, 422, 429),
)
def delete_client(actor: AdministratorActor, db: SessionDep, client_id: ClientId) -> None:
    """The next request with one of its tokens is rejected. The session must be fresh."""
    actor.hold(db, fresh=True)
    registration.delete(db, client_id, origin=actor.origin)


@router.post(
    "/{client_id}/secret",
    summary="Rotate the secret of a client",
    status_code=HTTPStatus.CREATED,
    response_description="The client with its new secret, which is shown only once.",
    responses=problems(404, 408, 413, 415, 422, 429),
)
def rotate_client_secret(
    actor: AdministratorActor,
    db: SessionDep,
    client_id: ClientId,
    body: SecretRotation | None = None,
) -> ClientCreated:
    """The secret before works for the overlap. The session must be fresh."""
    actor.hold(db, fresh=True)
    overlap = (body or SecretRotation()).overlap_seconds
    rotated = registration.rotate_secret(
        db, client_id, overlap_seconds=overlap, origin=actor.origin
    )
    return _created(rotated)


def _fields(body: ClientCreate | ClientUpdate) -> ClientFields:
    given = body.model_dump(exclude={"id", "is_confidential", "disabled", "grants"})
    grants = None if body.grants is None else [Grant(grant) for grant in body.grants]
    return ClientFields(**given, grants=grants)


def _created(new: NewSecret) -> ClientCreated:
    read = ClientRead.model_validate(new.client)
    return ClientCreated(**read.model_dump(), client_secret=new.secret)
