"""API keys: made, replaced and revoked by their owner, and revoked by administrators."""

from datetime import timedelta
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response

from api.console import errors
from api.console.forms import Form, FormDep, confirmed
from api.console.pages.users import UserId
from api.console.rendering import page, redirect
from api.console.visitors import AdministratorDep, ConsoleOriginDep, VisitorDep
from api.dependencies import ServiceDep, SessionDep
from authentication import permissions
from authentication.credentials import api_keys
from authentication.credentials.api_keys import KeyRequest, NewKey
from authentication.errors import InvalidField
from authentication.permissions import Scopes
from counterfoil.errors import CounterfoilError

router = APIRouter()

LIFETIMES = {"30": "30 days", "90": "90 days", "365": "1 year", "": "Without an end"}
_USUAL_LIFETIME = "90"


@router.get("/account/api-keys/new")
async def show_form(request: Request, visitor: VisitorDep) -> Response:
    """What the key is for, what it may do and how long it lives."""
    return _form(request, visitor.identity.scopes, Form([]))


@router.post("/account/api-keys/new")
def create(
    request: Request,
    visitor: VisitorDep,
    form: Annotated[Form, confirmed("make an API key")],
    service: ServiceDep,
    db: SessionDep,
    origin: ConsoleOriginDep,
) -> Response:
    """The key is shown on the page that follows and never again."""
    scopes = visitor.identity.scopes
    try:
        made = api_keys.create(db, service.settings, visitor.identity, _read(form), origin=origin)
    except CounterfoilError as error:
        return _form(request, scopes, form, error, errors.status_of(error))
    return _show(request, made)


@router.post("/account/api-keys/{api_key_id}/rotate")
def rotate(
    request: Request,
    visitor: VisitorDep,
    form: Annotated[Form, confirmed("replace an API key")],
    service: ServiceDep,
    db: SessionDep,
    origin: ConsoleOriginDep,
    api_key_id: UUID,
) -> Response:
    """The old key works on for the overlap of the settings."""
    made = api_keys.rotate(
        db, service.settings, visitor.identity, api_key_id, overlap_seconds=None, origin=origin
    )
    overlap = timedelta(seconds=service.settings.api_key_overlap_seconds)
    return _show(request, made, overlap)


@router.post("/account/api-keys/{api_key_id}/revoke")
def revoke(
    request: Request,
    visitor: VisitorDep,
    form: FormDep,
    db: SessionDep,
    origin: ConsoleOriginDep,
    api_key_id: UUID,
) -> Response:
    """One of the visitor's own."""
    user_id = visitor.identity.user_id
    api_keys.revoke(db, api_key_id, user_id=user_id, origin=origin, reason="revoked_by_user")
    return redirect(request, "/account", notice="key-revoked")


@router.post("/users/{user_id}/api-keys/{api_key_id}/revoke")
def revoke_of_user(
    request: Request,
    admin: AdministratorDep,
    form: FormDep,
    db: SessionDep,
    origin: ConsoleOriginDep,
    user_id: UserId,
    api_key_id: UUID,
) -> Response:
    """One of somebody else's."""
    reason = "revoked_by_administrator"
    api_keys.revoke(db, api_key_id, user_id=user_id, origin=origin, reason=reason)
    return redirect(request, f"/users/{user_id}", notice="key-revoked")


def _read(form: Form) -> KeyRequest:
    days = form.text("days")
    if days not in LIFETIMES:
        raise InvalidField("days", "Choose one of these.")
    return KeyRequest(
        name=form.text("name").strip(),
        lifetime=timedelta(days=int(days)) if days else None,
        scopes=frozenset(form.texts("scope")),
    )


def _form(
    request: Request,
    scopes: Scopes,
    form: Form,
    error: CounterfoilError | None = None,
    status: HTTPStatus = HTTPStatus.OK,
) -> Response:
    return page(
        request,
        "api_key_new.html",
        status=status,
        error=error and error.detail,
        name=form.text("name"),
        scopes=sorted(scopes - {permissions.ACCOUNT}),
        chosen=form.texts("scope"),
        lifetimes=LIFETIMES,
        days=form.text("days") if form.pairs else _USUAL_LIFETIME,
    )


def _show(request: Request, made: NewKey, overlap: timedelta | None = None) -> Response:
    hours = int(overlap.total_seconds() // 3600) if overlap else 0
    return page(request, "api_key_made.html", key=made.text, stored=made.stored, hours=hours)
